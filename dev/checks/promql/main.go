// Promql reads expressions, one a line, and tells what Prometheus' own parser makes of each, as one JSON object a line:
// the series that it selects with the labels that it asks for, or what is wrong with it.
package main

import (
	"bufio"
	"encoding/json"
	"log"
	"os"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

type selector struct {
	Name   string   `json:"name"`
	Labels []string `json:"labels"`
}

type answer struct {
	Error     string     `json:"error,omitempty"`
	Selectors []selector `json:"selectors"`
	Grouping  []string   `json:"grouping"`
}

func read(expression string) answer {
	found := answer{Selectors: []selector{}, Grouping: []string{}}
	tree, err := parser.NewParser(parser.Options{}).ParseExpr(expression)
	if err != nil {
		found.Error = err.Error()
		return found
	}
	parser.Inspect(tree, func(node parser.Node, _ []parser.Node) error {
		switch each := node.(type) {
		case *parser.VectorSelector:
			asked := selector{Name: each.Name, Labels: []string{}}
			for _, matcher := range each.LabelMatchers {
				if matcher.Name != labels.MetricName {
					asked.Labels = append(asked.Labels, matcher.Name)
				}
			}
			found.Selectors = append(found.Selectors, asked)
		case *parser.AggregateExpr:
			found.Grouping = append(found.Grouping, each.Grouping...)
		}
		return nil
	})
	return found
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		if err := out.Encode(read(lines.Text())); err != nil {
			log.Fatalf("promql: %v", err)
		}
	}
	if err := lines.Err(); err != nil {
		log.Fatalf("promql: %v", err)
	}
}
