// Bubbletea is a full-screen program: a list with a cursor that keys and the window's size change.
package main

import (
	"fmt"
	"os"
	"strings"

	tea "github.com/charmbracelet/bubbletea"
)

type model struct {
	cursor        int
	width, height int
	last          string
}

func (model) Init() tea.Cmd { return nil }

func (m model) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	switch message := message.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = message.Width, message.Height
	case tea.KeyMsg:
		m.last = message.String()
		switch m.last {
		case "down", "j":
			m.cursor++
		case "up", "k":
			m.cursor--
		case "q", "ctrl+c":
			return m, tea.Quit
		}
	}
	return m, nil
}

func (m model) View() string {
	var view strings.Builder
	fmt.Fprintf(&view, "window %dx%d, last key [%s]\n", m.width, m.height, m.last)
	for i, name := range []string{"one", "two", "three"} {
		mark := " "
		if i == m.cursor {
			mark = ">"
		}
		fmt.Fprintf(&view, "%s %s\n", mark, name)
	}
	return view.String()
}

func main() {
	end, err := tea.NewProgram(model{}, tea.WithAltScreen()).Run()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("ended at", end.(model).cursor)
}
