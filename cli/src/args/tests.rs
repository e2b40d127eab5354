//! Command lines, good and bad.

use super::*;

fn parse(line: &[&str]) -> Result<Command, clap::Error> {
    parse_from(
        std::iter::once("ringo")
            .chain(line.iter().copied())
            .map(OsString::from),
    )
}

fn options(line: &[&str]) -> RunOptions {
    match parse(line) {
        Ok(Command::Run(options) | Command::Exec(options)) => options,
        Ok(_) => panic!("neither run nor exec"),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn the_definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn options_end_at_the_program() {
    let options = options(&[
        "run", "--cpus", "2", "./prog", "--cpus", "3", "-v", "--", "--help",
    ]);
    assert_eq!(options.cpus, Some(2));
    assert!(!options.verbose);
    assert_eq!(
        options.command,
        ["./prog", "--cpus", "3", "-v", "--", "--help"]
    );
}

#[test]
fn values_may_stand_right_behind_a_letter() {
    let line = [
        "exec", "-vm1G", "-eA=-m2G", "-w=/tmp", "-e", "B", "-vm", "3G",
    ];
    let options = options(&[&line[..], &["./prog", "-m4G", "-vm1G"]].concat());
    assert_eq!(options.memory, Size(3 << 30));
    assert!(options.verbose);
    assert_eq!(options.env, ["A=-m2G", "B"]);
    assert_eq!(options.workdir, Some("/tmp".into()));
    assert_eq!(options.command, ["./prog", "-m4G", "-vm1G"]);
    for line in [
        &["run", "-mem", "1G", "p"][..],
        &["run", "-x1", "p"],
        &["run", "-v\u{e9}", "p"],
    ] {
        assert!(parse(line).is_err(), "{line:?}");
    }
}

#[test]
fn the_last_one_counts() {
    let line = [
        "run",
        "--stats",
        "-m",
        "1G",
        "--stats",
        "--memory=2G",
        "--net",
        "user",
        "--net=none",
        "p",
    ];
    let options = options(&line);
    assert!(options.stats && options.memory == Size(2 << 30) && options.net == Some(Net::None));
}

#[test]
fn a_mistyped_option_is_not_a_program() {
    let error = parse(&["run", "--cpu", "2", "./prog"])
        .err()
        .expect("an error")
        .to_string();
    assert!(error.contains("--cpu"), "{error}");
    assert!(parse(&["exec", "-x"]).is_err());
}

#[test]
fn a_program_is_required() {
    assert!(parse(&["run"]).is_err());
    assert!(parse(&["run", "--cpus", "2"]).is_err());
    assert!(parse(&[]).is_err());
}

#[test]
fn options_of_the_network_fit_together() {
    let good = [
        &[
            "--net",
            "tap:t0",
            "--ip",
            "192.0.2.2/24",
            "--gateway",
            "192.0.2.1",
        ][..],
        &["--net", "bridge:br0", "--mac", "52:54:00:00:00:01"],
        &[
            "--net",
            "tap:t0",
            "--ip",
            "192.0.2.2/24",
            "--ip",
            "2001:db8::2/64",
        ],
        &[
            "--net",
            "tap:t0",
            "--ip=2001:db8::2/64",
            "--gateway=fe80::1",
        ],
        &[
            "--net",
            "tap:t0",
            "--ip=2001:db8::2/64",
            "--gateway=2001:db8::1",
        ],
        &["--net", "user", "--dns", "192.0.2.53", "--pcap", "f"],
        &["--publish", "1:2", "--dns", "2001:db8::53"],
        &[
            "--publish",
            "1:2",
            "--dns-search",
            "a.example",
            "--dns-search=b",
        ],
    ];
    for line in good {
        options(&[&["run"], line, &["p"]].concat());
    }
    let bad = [
        &["--net", "user", "--ip", "192.0.2.2/24"][..],
        &["--net", "tap:t0", "--gateway", "192.0.2.1"],
        &[
            "--net",
            "tap:t0",
            "--ip",
            "192.0.2.2/24",
            "--gateway",
            "192.0.3.1",
        ],
        &[
            "--net",
            "tap:t0",
            "--ip",
            "192.0.2.2/24",
            "--gateway",
            "192.0.2.2",
        ],
        &["--net", "tap:t0", "--publish", "1:2"],
        &[
            "--net",
            "tap:t0",
            "--ip",
            "192.0.2.2/24",
            "--ip",
            "192.0.2.3/24",
        ],
        &[
            "--net",
            "tap:t0",
            "--ip",
            "192.0.2.2/24",
            "--gateway",
            "fe80::1",
        ],
        &[
            "--net",
            "tap:t0",
            "--ip=2001:db8::2/64",
            "--gateway=2001:db9::1",
        ],
        &["--net", "tap"],
        &["--net", "none", "--publish", "1:2"],
        &["--dns", "192.0.2.53"],
        &["--dns-search", "a.example"],
        &["--net", "user", "--dns-search", "a,b"],
        &["--mac", "52:54:00:00:00:01"],
        &["--pcap", "f"],
        &["--net", "user", "--dns", "1", "--dns", "2"],
    ];
    for line in bad {
        assert!(
            parse(&[&["run"], line, &["p"]].concat()).is_err(),
            "{line:?}"
        );
    }
    let four = ["--dns", "192.0.2.1"].repeat(4);
    assert!(parse(&[&["run", "--net", "user"], &four[..], &["p"]].concat()).is_err());
}

#[test]
fn what_stands_at_the_subcommands_place_is_told_how_to_write_it() {
    let message = |args: &[&str]| match parse(args) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    };
    assert!(message(&["./hello"]).contains("tip: to run it: `ringo run ./hello`"));
    assert!(message(&["-m", "1G", "./hello"]).contains("tip: options follow the subcommand"));
    assert!(message(&["rum", "./hello"]).contains("tip: a similar subcommand exists: 'run'"));
}
