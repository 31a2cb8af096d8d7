// Package contender has the programs that are compared: each takes pictures of a
// camera, encodes them for a number of seconds and writes the stream to a file. It
// runs them and reads what they cost from the kernel. Imported by the bench only.
package contender

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Task is what every contender does.
type Task struct {
	Camera  string // node, such as /dev/video0
	Format  string // its pixel format: MJPG or YUYV
	Codec   string // VP8 or H264
	Kbps    int
	Seconds int
	Out     string // the stream: IVF, Matroska or H.264's byte stream
}

// Report is what a contender of ours says on its standard output.
type Report struct {
	Frames  int     `json:"frames"` // encoded
	Offered int     `json:"offered"`
	Allocs  float64 `json:"allocs"` // of the Go heap, all together
	Bytes   uint64  `json:"bytes"`  // of the Go heap, all together
}

// Result is one run.
type Result struct {
	Report
	CPU    time.Duration // user and system, of the process (getrusage(2))
	RSS    int64         // largest, in bytes
	Size   int64         // of the stream
	Out    string
	Failed string
}

// Contender is one program.
type Contender struct {
	Name string
	// Command says how it is started for a task.
	Command func(Task) []string
	// Suffix of its stream's file: ivf, mkv or h264.
	Suffix func(codec string) string
}

// Run runs it once, within a deadline.
func (c Contender) Run(ctx context.Context, t Task) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(t.Seconds)*time.Second*4+20*time.Second)
	defer cancel()
	argv := c.Command(t)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	largest, err := run(cmd)
	if err != nil {
		return Result{}, fmt.Errorf("cannot run %s: %w\n%s", c.Name, err, tail(errs.String()+out.String()))
	}
	r := Result{CPU: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), RSS: largest, Out: t.Out}
	if line := strings.TrimSpace(out.String()); strings.HasPrefix(line, "{") {
		if err := json.Unmarshal([]byte(line), &r.Report); err != nil {
			return Result{}, fmt.Errorf("cannot read what %s reports: %w", c.Name, err)
		}
	}
	info, err := os.Stat(t.Out)
	if err != nil {
		return Result{}, fmt.Errorf("cannot find what %s made: %w", c.Name, err)
	}
	r.Size = info.Size()
	return r, nil
}

// run runs a program and gives the most memory that it had in bytes, as looked at ten
// times a second: getrusage(2) would give what its parent had when it was forked.
func run(cmd *exec.Cmd) (largest int64, err error) {
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return largest, err
		case <-tick.C:
			largest = max(largest, highWater(cmd.Process.Pid))
		}
	}
}

// highWater is a process's VmHWM in bytes (proc_pid_status(5)), 0 when it ended.
func highWater(pid int) int64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), "VmHWM:")
	var kb int64
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		return 0
	}
	return kb << 10
}

// tail is the end of a program's words.
func tail(s string) string {
	if len(s) > 2000 {
		s = s[len(s)-2000:]
	}
	return s
}

// Own is a program of the bench's that takes a task as flags.
func Own(name string, argv ...string) Contender {
	return Contender{
		Name: name,
		Command: func(t Task) []string {
			return append(append([]string{}, argv...),
				"-camera", t.Camera, "-format", t.Format, "-codec", t.Codec, "-kbps", strconv.Itoa(t.Kbps),
				"-seconds", strconv.Itoa(t.Seconds), "-out", t.Out)
		},
		Suffix: func(codec string) string {
			if codec == "VP8" {
				return "ivf"
			}
			return "h264"
		},
	}
}

// GStreamer is gst-launch-1.0 with an encoder set up as ours is, as far as it can
// be; cpuUsed counts for VP8.
func GStreamer(name string, cpuUsed int) Contender {
	return Contender{
		Name: name,
		Command: func(t Task) []string {
			args := []string{"gst-launch-1.0", "-q", "-e", "v4l2src", "device=" + t.Camera, "num-buffers=" + strconv.Itoa(30*t.Seconds), "!"}
			if t.Format == "MJPG" {
				args = append(args, "image/jpeg,width=1280,height=720,framerate=30/1", "!", "jpegdec", "!")
			} else {
				args = append(args, "video/x-raw,format=YUY2,width=1280,height=720,framerate=30/1", "!")
			}
			args = append(args, "videoconvert", "!", "video/x-raw,format=I420", "!")
			if t.Codec == "VP8" {
				args = append(args, "vp8enc", "deadline=1", "cpu-used="+strconv.Itoa(cpuUsed), "target-bitrate="+strconv.Itoa(1000*t.Kbps),
					"end-usage=cbr", "threads=1", "keyframe-max-dist=100000", "lag-in-frames=0", "error-resilient=default",
					"min-quantizer=2", "max-quantizer=56", "undershoot=100", "overshoot=15", "buffer-size=600",
					"buffer-initial-size=400", "buffer-optimal-size=500", "static-threshold=1", "!", "matroskamux", "!")
			} else {
				args = append(args, "openh264enc", "bitrate="+strconv.Itoa(1000*t.Kbps), "gop-size=100000", "rate-control=bitrate",
					// Ours is what openh264 has by default, GStreamer's is slower; and ours looks for no scenes.
					"complexity=low", "scene-change-detection=false", "multi-thread=1", "!", "video/x-h264,stream-format=byte-stream", "!")
			}
			return append(args, "filesink", "location="+t.Out)
		},
		Suffix: func(codec string) string {
			if codec == "VP8" {
				return "mkv"
			}
			return "h264"
		},
	}
}

// Path is where a contender's stream of a task goes.
func (c Contender) Path(dir, format, codec string) string {
	return filepath.Join(dir, strings.NewReplacer(" ", "-", "/", "-").Replace(c.Name)+"-"+format+"."+c.Suffix(codec))
}

// Flags has a program of the bench's read its task.
func (t *Task) Flags(f *flag.FlagSet) {
	f.StringVar(&t.Camera, "camera", "/dev/video0", "its `node`")
	f.StringVar(&t.Format, "format", "MJPG", "pixel format: MJPG or YUYV")
	f.StringVar(&t.Codec, "codec", "VP8", "VP8 or H264")
	f.IntVar(&t.Kbps, "kbps", 1500, "bit rate in kbit/s")
	f.IntVar(&t.Seconds, "seconds", 8, "how long")
	f.StringVar(&t.Out, "out", "", "`file` for the stream")
}
