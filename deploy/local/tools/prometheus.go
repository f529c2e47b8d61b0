package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sort"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

var queries = parser.NewParser(parser.Options{})

// rulesTool checks a file of rules on standard input, as `promtool check rules` does.
func rulesTool([]string) error {
	content, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	_, faults := rulefmt.Parse(content, false, model.UTF8Validation, queries, quiet)
	return errors.Join(faults...)
}

// What evaluateTool reads: what was scraped when, and what is asked of it.
type question struct {
	Scrapes []struct {
		TimeMS int64  `json:"time_ms"`
		Text   string `json:"text"`
	} `json:"scrapes"`
	Labels  map[string]string `json:"labels"`
	Queries []string          `json:"queries"`
	StartMS int64             `json:"start_ms"`
	EndMS   int64             `json:"end_ms"`
	StepMS  int64             `json:"step_ms"`
}

type series struct {
	Labels map[string]string `json:"labels"`
	Points [][2]float64      `json:"points"`
}

type answer struct {
	Query  string   `json:"query"`
	Error  string   `json:"error"`
	Series []series `json:"series"`
}

// evaluateTool answers range queries with Prometheus's engine on what was scraped.
func evaluateTool([]string) error {
	var asked question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		return err
	}
	stored, err := scraped(asked)
	if err != nil {
		return err
	}
	engine := promql.NewEngine(promql.EngineOpts{
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), MaxSamples: 10_000_000,
		Timeout: time.Minute, LookbackDelta: 5 * time.Minute, EnableAtModifier: true,
		EnableNegativeOffset: true, Parser: queries,
	})
	found := []answer{}
	for _, query := range asked.Queries {
		one := answer{Query: query, Series: []series{}}
		if one.Series, err = ask(engine, stored, asked, query); err != nil {
			one.Error = err.Error()
		}
		found = append(found, one)
	}
	return json.NewEncoder(os.Stdout).Encode(found)
}

func ask(engine *promql.Engine, stored memory, asked question, query string) ([]series, error) {
	start, end := time.UnixMilli(asked.StartMS), time.UnixMilli(asked.EndMS)
	step := time.Duration(asked.StepMS) * time.Millisecond
	prepared, err := engine.NewRangeQuery(context.Background(), stored, nil, query, start, end, step)
	if err != nil {
		return nil, err
	}
	defer prepared.Close()
	result := prepared.Exec(context.Background())
	if result.Err != nil {
		return nil, result.Err
	}
	matrix, err := result.Matrix()
	if err != nil {
		return nil, err
	}
	found := []series{}
	for _, line := range matrix {
		points := [][2]float64{}
		for _, point := range line.Floats {
			if point.F == point.F && point.F-point.F == 0 { // JSON has no word for the others
				points = append(points, [2]float64{float64(point.T) / 1000, point.F})
			}
		}
		found = append(found, series{line.Metric.Map(), points})
	}
	return found, nil
}

// memory holds samples by series: all the storage that a query needs.
type memory map[string]*storage.SeriesEntry

type point struct {
	at    int64
	value float64
}

func (p point) T() int64                      { return p.at }
func (p point) ST() int64                     { return 0 }
func (p point) F() float64                    { return p.value }
func (p point) H() *histogram.Histogram       { return nil }
func (p point) FH() *histogram.FloatHistogram { return nil }
func (p point) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (p point) Copy() chunks.Sample           { return p }

// scraped reads every scrape with Prometheus's own parser of the text format.
func scraped(asked question) (memory, error) {
	samples, named := map[string][]chunks.Sample{}, map[string]labels.Labels{}
	for _, scrape := range asked.Scrapes {
		read := textparse.NewPromParser([]byte(scrape.Text), labels.NewSymbolTable(), false)
		for {
			entry, err := read.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("scrape at %d: %w", scrape.TimeMS, err)
			}
			if entry != textparse.EntrySeries {
				continue
			}
			var own labels.Labels
			read.Labels(&own)
			_, _, value := read.Series()
			builder := labels.NewBuilder(own)
			for name, text := range asked.Labels {
				builder.Set(name, text)
			}
			all := builder.Labels()
			named[all.String()] = all
			samples[all.String()] = append(samples[all.String()], point{scrape.TimeMS, value})
		}
	}
	stored := memory{}
	for key, values := range samples {
		stored[key] = storage.NewListSeries(named[key], values)
	}
	return stored, nil
}

func (m memory) Querier(_, _ int64) (storage.Querier, error) { return m, nil }
func (m memory) Close() error                                { return nil }

func (m memory) LabelValues(
	context.Context, string, *storage.LabelHints, ...*labels.Matcher,
) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (m memory) LabelNames(
	context.Context, *storage.LabelHints, ...*labels.Matcher,
) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (m memory) Select(
	_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher,
) storage.SeriesSet {
	found := []storage.Series{}
	keys := []string{}
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	for _, key := range keys {
		fits := true
		for _, matcher := range matchers {
			fits = fits && matcher.Matches(m[key].Labels().Get(matcher.Name))
		}
		if fits {
			found = append(found, m[key])
		}
	}
	return &selected{found, -1}
}

type selected struct {
	series []storage.Series
	at     int
}

func (s *selected) Next() bool                        { s.at++; return s.at < len(s.series) }
func (s *selected) At() storage.Series                { return s.series[s.at] }
func (s *selected) Err() error                        { return nil }
func (s *selected) Warnings() annotations.Annotations { return nil }
