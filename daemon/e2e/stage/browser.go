package stage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/chromedp/chromedp"
)

// Chromium is where Debian's package puts it.
const Chromium = "/usr/bin/chromium"

// Browser is one headless Chromium with a profile of its own, showing one page.
type Browser struct {
	ctx    context.Context //nolint:containedctx // chromedp keeps the browser in its context
	cancel []context.CancelFunc
	log    *os.File
}

// Open starts a Chromium of the given window size and shows url in it. name
// tells profiles and logs apart; flags are more of its switches, without dashes.
func (s *Stage) Open(ctx context.Context, name, url string, width, height int, flags ...string) (*Browser, error) {
	return s.open(ctx, name, url, width, height, nil, flags...)
}

// open is Open, on the clinic's machine where there is one.
func (s *Stage) open(ctx context.Context, name, url string, width, height int, at *apart, flags ...string) (*Browser, error) {
	profile := s.abs("browser-" + name)
	if err := os.MkdirAll(profile, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make a browser profile: %w", err)
	}
	if c := s.opts.Credential; c != nil {
		if err := os.Lchown(profile, int(c.Uid), int(c.Gid)); err != nil {
			return nil, fmt.Errorf("cannot hand over a browser profile: %w", err)
		}
	}
	log, err := os.OpenFile(filepath.Join(s.dir, "logs", "browser-"+name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open the browser's log: %w", err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(Chromium), chromedp.UserDataDir(profile), chromedp.CombinedOutput(log),
		chromedp.Flag("no-sandbox", true), // as root, and in a namespace, it has none to offer
		chromedp.Flag("disable-gpu", true), chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"),
		chromedp.WindowSize(width, height),
		chromedp.ModifyCmdFunc(func(c *exec.Cmd) {
			c.Env = append(s.environ(), s.speaker...)
			c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: s.opts.Credential}
			if at != nil {
				c.Args = at.wrap(append([]string{c.Path}, c.Args[1:]...))
				c.Path = c.Args[0]
			}
		}))
	if s.opts.OwnSpeakers {
		flags = append(flags, "disable-audio-output")
	}
	for _, f := range flags {
		options = append(options, chromedp.Flag(f, true))
	}
	allocator, stop := chromedp.NewExecAllocator(context.WithoutCancel(ctx), options...)
	tab, closeTab := chromedp.NewContext(allocator)
	b := &Browser{ctx: tab, cancel: []context.CancelFunc{closeTab, stop}, log: log}
	// The first call starts the browser, which lives as long as its context:
	// the deadline is for the second.
	if err := chromedp.Do(tab); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot start Chromium for %s: %w", name, err), b.Close())
	}
	if err := b.show(ctx, chromedp.Navigate(url)); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot show the page of %s: %w", name, err), b.Close())
	}
	return b, nil
}

// beginsWithin is how long a page may take until all of it is there; begun says whether it
// is, a page of ours also with its scripts at work; broken whether the browser shows an
// error of its own.
const (
	beginsWithin = 30 * time.Second
	broken       = `location.protocol === "chrome-error:"`
	begun        = `document.readyState === "complete" && (!document.querySelector("script[type=module]") ||
		document.documentElement.dataset.whole !== undefined && (window.kiosk || window.sim))`
)

// Reload loads the page again and waits until all of it is there.
func (b *Browser) Reload(ctx context.Context) error {
	if err := b.show(ctx, chromedp.Reload()); err != nil {
		return fmt.Errorf("cannot load the page again: %w", err)
	}
	return nil
}

// show loads a page and waits until all of it is there. A Chromium that is driven does
// not try again by itself where the machine's addresses changed while it connected; its
// page of the error knows the address that failed.
func (b *Browser) show(ctx context.Context, load chromedp.Action[chromedp.Void]) error {
	ctx, cancel := context.WithTimeout(ctx, beginsWithin)
	defer cancel()
	for {
		err := b.do(ctx, load)
		if err != nil && !strings.Contains(err.Error(), "ERR_NETWORK_CHANGED") {
			return err
		}
		if err := b.Until(ctx, broken+" || "+begun); err != nil {
			return err
		}
		failed, err := Eval[bool](ctx, b, broken)
		if err == nil && !failed {
			return nil
		}
		load = chromedp.Reload()
	}
}

// PID is the browser's process, the parent of all its others.
func (b *Browser) PID() (int, error) {
	c := chromedp.FromContext(b.ctx)
	if c == nil || c.Browser == nil || c.Browser.Process() == nil {
		return 0, errors.New("cannot find the browser's process: it does not run")
	}
	return c.Browser.Process().Pid, nil
}

// Freeze stops the browser and all its processes in their tracks (SIGSTOP), as a
// machine that swaps or a page that hangs would, or lets them go on.
func (b *Browser) Freeze(on bool) error {
	signal := syscall.SIGCONT
	if on {
		signal = syscall.SIGSTOP
	}
	pid, err := b.PID()
	if err != nil {
		return err
	}
	_, pids, err := trees([]int{pid})
	if err != nil {
		return err
	}
	for _, p := range pids {
		if err := syscall.Kill(p, signal); err != nil && !errors.Is(err, syscall.ESRCH) { // one may have ended meanwhile
			return fmt.Errorf("cannot send %v to the browser: %w", signal, err)
		}
	}
	return nil
}

// actionWithin bounds one question to a page.
const actionWithin = 10 * time.Second

// bounded gives the tab's context ctx's end and actionWithin.
func (b *Browser) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	t, cancel := context.WithTimeout(b.ctx, actionWithin)
	stop := context.AfterFunc(ctx, cancel)
	return t, func() { stop(); cancel() }
}

func (b *Browser) do(ctx context.Context, a ...chromedp.Action[chromedp.Void]) error {
	t, cancel := b.bounded(ctx)
	defer cancel()
	return chromedp.Do(t, a...)
}

// Eval evaluates a JavaScript expression, awaiting a promise, and decodes its JSON value.
func Eval[T any](ctx context.Context, b *Browser, expression string) (T, error) {
	t, cancel := b.bounded(ctx)
	defer cancel()
	v, err := chromedp.Run(t, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		return v, fmt.Errorf("cannot evaluate %.80q on the page: %w", expression, err)
	}
	return v, nil
}

// Until waits for an expression to become true.
func (b *Browser) Until(ctx context.Context, expression string) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := Eval[bool](ctx, b, "Boolean("+expression+")")
		if ok {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("cannot see %.120q on the page: %w", expression, errors.Join(context.Cause(ctx), err))
		}
	}
}

// Click presses what a CSS selector names, as a script would.
func (b *Browser) Click(ctx context.Context, selector string) error {
	return b.do(ctx, chromedp.Click(chromedp.CSS(selector)))
}

// Navigate shows another address and waits until all of its page is there.
func (b *Browser) Navigate(ctx context.Context, url string) error {
	return b.show(ctx, chromedp.Navigate(url))
}

// Screenshot writes the page as PNG.
func (b *Browser) Screenshot(ctx context.Context, path string) error {
	t, cancel := b.bounded(ctx)
	defer cancel()
	png, err := chromedp.Run(t, chromedp.CaptureScreenshot())
	if err != nil {
		return fmt.Errorf("cannot take a screenshot: %w", err)
	}
	if err := os.WriteFile(path, png, 0o644); err != nil {
		return fmt.Errorf("cannot write the screenshot: %w", err)
	}
	return nil
}

// Close ends the browser.
func (b *Browser) Close() error {
	for _, c := range b.cancel {
		c()
	}
	return b.log.Close()
}
