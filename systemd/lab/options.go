package main

import (
	"errors"
	"flag"
	"io"
	"time"
)

// options are the flags. They reach the stages as JSON.
type options struct {
	Dir, Bin, Deb, Units, Root string
	Upgrade                    string
	Short, Hold                bool
	Only                       string
	Within                     time.Duration
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("lab", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.Dir, "dir", "systemd/lab/build", "`folder` of the run's files")
	f.StringVar(&o.Bin, "bin", "bin", "`folder` of the programs")
	f.StringVar(&o.Deb, "deb", "", "the `package`")
	f.StringVar(&o.Upgrade, "upgrade", "", "a newer `package`, for the upgrade in a call; empty: that row is left out")
	f.StringVar(&o.Root, "root", "/", "root `folder` to run over; fresh: a new Debian 12, kept in -dir")
	f.BoolVar(&o.Short, "short", false, "a few rows, few rounds")
	f.BoolVar(&o.Hold, "hold", false, "keep the lab after the rows, until Ctrl-C: nsenter -a -t PID looks inside")
	f.StringVar(&o.Only, "only", "", "only rows whose name has this `word`")
	f.DurationVar(&o.Within, "within", 25*time.Minute, "`time` for the whole run")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 || o.Deb == "" {
		return o, errors.New("cannot use these arguments: the package is the least (-deb)")
	}
	return o, nil
}
