// Sqlite is SQLite translated to Go, with a write-ahead log in a file: transactions, an index, joins, two connections, vacuum.
package main

import (
	"database/sql"
	"fmt"
	"log"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite"
)

func main() {
	dir, err := os.MkdirTemp("", "sqlite")
	must(err)
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "data.db")
	db, err := sql.Open("sqlite", path+"?_pragma=journal_mode(wal)&_pragma=busy_timeout(5000)")
	must(err)
	ask(db, "PRAGMA journal_mode")
	for _, statement := range []string{
		"CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, weight REAL, data BLOB)",
		"CREATE TABLE tag (item INTEGER REFERENCES item(id), word TEXT)",
		"CREATE INDEX tag_word ON tag(word)",
	} {
		exec(db, statement)
	}
	fill(db)
	ask(db, "SELECT count(*), sum(weight), avg(length(data)) FROM item")
	ask(db, "SELECT word, count(*), min(name) FROM tag JOIN item ON item.id = tag.item GROUP BY word ORDER BY 2 DESC, 1 LIMIT 5")
	ask(db, "SELECT name FROM item WHERE name LIKE '%77%' ORDER BY weight DESC LIMIT 3")
	ask(db, "WITH RECURSIVE f(a, b) AS (SELECT 0, 1 UNION ALL SELECT b, a + b FROM f LIMIT 40) SELECT max(a) FROM f")
	ask(db, "SELECT json_extract('{\"a\":[1,2,{\"b\":3}]}', '$.a[2].b'), printf('%.3f', 2.0/3), upper('ring')")
	_, err = db.Exec("INSERT INTO item (name) VALUES ('item 77')")
	fmt.Println(err)
	twoConnections(db, path)
	exec(db, "DELETE FROM item WHERE id % 2 = 0")
	exec(db, "VACUUM")
	ask(db, "PRAGMA integrity_check")
	ask(db, "SELECT count(*) FROM item")
	must(db.Close())
	_, err = os.Stat(path + "-wal")
	fmt.Println("the log is gone:", os.IsNotExist(err))
}

func fill(db *sql.DB) {
	tx, err := db.Begin()
	must(err)
	item, err := tx.Prepare("INSERT INTO item (name, weight, data) VALUES (?, ?, ?)")
	must(err)
	tag, err := tx.Prepare("INSERT INTO tag VALUES (?, ?)")
	must(err)
	for i := 0; i < 3000; i++ {
		result, err := item.Exec(fmt.Sprintf("item %d", i), float64(i*i%1000)/8, make([]byte, i%300))
		must(err)
		id, err := result.LastInsertId()
		must(err)
		_, err = tag.Exec(id, fmt.Sprintf("word%d", i%13))
		must(err)
	}
	must(tx.Commit())
}

// twoConnections: a reader keeps its snapshot while a writer commits.
func twoConnections(db *sql.DB, path string) {
	other, err := sql.Open("sqlite", path)
	must(err)
	defer other.Close()
	reader, err := other.Begin()
	must(err)
	count := func(tx *sql.Tx) (n int) {
		must(tx.QueryRow("SELECT count(*) FROM tag").Scan(&n))
		return n
	}
	before := count(reader)
	exec(db, "INSERT INTO tag VALUES (1, 'late')")
	fmt.Println("the snapshot stays:", count(reader) == before)
	must(reader.Rollback())
	ask(other, "SELECT count(*) FROM tag")
}

func exec(db *sql.DB, statement string) {
	_, err := db.Exec(statement)
	must(err)
}

func ask(db *sql.DB, query string) {
	rows, err := db.Query(query)
	must(err)
	defer rows.Close()
	columns, err := rows.Columns()
	must(err)
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		must(rows.Scan(values...))
		for _, value := range values {
			fmt.Print(*value.(*any), " ")
		}
		fmt.Println()
	}
	must(rows.Err())
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
