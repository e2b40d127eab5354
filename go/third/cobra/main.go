// Cobra is a command with sub-commands and flags, as most Go tools are.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

func main() {
	root := &cobra.Command{Use: "tool", Short: "A tool with commands", Version: "1.2.3", SilenceUsage: true}
	root.PersistentFlags().BoolP("loud", "l", false, "shout")
	greet := &cobra.Command{
		Use: "greet NAME...", Short: "Say hello", Args: cobra.MinimumNArgs(1), Aliases: []string{"hi"},
		RunE: func(cmd *cobra.Command, args []string) error {
			times, _ := cmd.Flags().GetInt("times")
			loud, _ := cmd.Flags().GetBool("loud")
			text := fmt.Sprintf("hello %s, %s", strings.Join(args, " and "), os.Getenv("GREETING"))
			if loud {
				text = strings.ToUpper(text)
			}
			for range times {
				fmt.Fprintln(cmd.OutOrStdout(), text)
			}
			return nil
		},
	}
	greet.Flags().IntP("times", "n", 1, "how often")
	fail := &cobra.Command{Use: "fail", Short: "Fail", RunE: func(*cobra.Command, []string) error { return errors.New("it failed") }}
	root.AddCommand(greet, fail)
	if root.Execute() != nil {
		os.Exit(3)
	}
}
