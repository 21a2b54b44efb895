package expo_test

import (
	"os"

	"crossplane-exporter/internal/expo"
)

func Example() {
	type volcano struct {
		height float64
		active bool
	}
	table := expo.NewTable(
		expo.Family[volcano]{
			Name: "volcano_height_meters", Help: "Height above the sea.", Type: expo.Gauge,
			Say: func(l *expo.Lines, v *volcano) { l.Sample(v.height) },
		},
		expo.Family[volcano]{
			Name: "volcano_active", Help: "1 for those that are.", Type: expo.Gauge,
			Say: func(l *expo.Lines, v *volcano) {
				if v.active {
					l.Sample(1)
				}
			},
		},
	)
	italy := table.Group(expo.Label("country", "Italy"))
	italy.Set(expo.Label("name", "Vesuvio"), &volcano{height: 1281})
	italy.Set(expo.Label("name", "Etna"), &volcano{height: 3403, active: true})

	if _, err := expo.WriteText(os.Stdout, table); err != nil {
		panic(err)
	}
	// Output:
	// # HELP volcano_height_meters Height above the sea.
	// # TYPE volcano_height_meters gauge
	// volcano_height_meters{country="Italy",name="Etna"} 3403
	// volcano_height_meters{country="Italy",name="Vesuvio"} 1281
	// # HELP volcano_active 1 for those that are.
	// # TYPE volcano_active gauge
	// volcano_active{country="Italy",name="Etna"} 1
}
