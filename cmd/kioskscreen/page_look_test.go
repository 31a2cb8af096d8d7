package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/chromedp/chromedp"
)

// view sizes of kiosks: usual, full HD, a small panel, and a portrait one.
type viewport struct {
	name string
	w, h int64
}

func viewports() []viewport {
	return []viewport{{"1280x800", 1280, 800}, {"1920x1080", 1920, 1080}, {"800x480", 800, 480}, {"600x1024", 600, 1024}}
}

// look checks and keeps what the page shows now, in each size.
func (p *tab) look(name string, sizes ...string) {
	p.t.Helper()
	for _, v := range viewports() {
		if len(sizes) > 0 && !slices.Contains(sizes, v.name) {
			continue
		}
		p.do(chromedp.EmulateViewport(v.w, v.h))
		p.wait(fmt.Sprintf(`innerWidth === %d`, v.w))
		p.shot(name + "-" + v.name)
		for _, check := range []string{layoutCheck, contrastCheck, accessCheck} {
			if bad := eval[[]string](p, check); len(bad) > 0 {
				p.t.Errorf("%s at %s: %s", name, v.name, strings.Join(bad, "; "))
			}
		}
	}
}

// layoutCheck finds what does not fit: small targets, things outside the screen,
// text cut off, things that lie on one another.
const layoutCheck = `(() => {
	const bad = [];
	const all = (s) => [...document.querySelectorAll(s)].filter((e) => e.getClientRects().length > 0 && getComputedStyle(e).visibility !== "hidden");
	const one = (s) => all(s)[0];
	const box = (e) => e.getBoundingClientRect();
	const name = (e) => e.dataset.reference || e.id || e.textContent.slice(0, 20) || e.className;
	const outside = (e) => { const r = box(e); return r.left < -.5 || r.top < -.5 || r.right > innerWidth + .5 || r.bottom > innerHeight + .5; };
	const meet = (a, b) => { const p = box(a), q = box(b); return p.left < q.right - .5 && q.left < p.right - .5 && p.top < q.bottom - .5 && q.top < p.bottom - .5; };
	for (const b of all("button, input, textarea")) {
		const r = box(b);
		if (r.width < 63.5 || r.height < 63.5) bad.push("small: " + name(b) + " " + r.width + "x" + r.height);
		if (outside(b) && !b.closest("#chat-log")) bad.push("outside: " + name(b));
	}
	for (const e of all("h1, h2, p, li, #controls span, .label, #clockwork, #timer, .greeting, .entry, .panel, .card, #chat, #self, #banner")) {
		if (!e.textContent || e.closest("#chat-log")) continue;
		if (outside(e)) bad.push("outside: " + name(e));
		if (e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== "inline") bad.push("cut: " + name(e));
		if (parseFloat(getComputedStyle(e).fontSize) < 14.5) bad.push("small text: " + name(e));
	}
	for (const e of all(".panel, .card")) if (e.scrollHeight > e.clientHeight + 1) bad.push("does not fit: " + name(e));
	const top = one("#clockwork"), self = one("#self"), panel = one(".panel"), nav = one("#controls");
	const apart = [[panel, nav], [self, nav], [panel, one(".label")], [panel, top], [one("#chat"), nav], [one(".card"), nav], [one("#chat"), one("#stage")], [one("#banner"), one("#stage")]];
	if (document.body.dataset.chat !== "open") apart.push([panel, self]);
	for (const label of all(".label")) apart.push([label, top], [label, self]);
	const labels = all(".label");
	labels.forEach((a, i) => labels.slice(i + 1).forEach((b) => apart.push([a, b])));
	for (const [a, b] of apart) if (a && b && meet(a, b)) bad.push(name(a) + " lies on " + name(b));
	const rows = nav ? [...nav.children].map((e) => Math.round(box(e).top)) : [];
	if (new Set(rows).size > 1) bad.push("the controls take more than one row");
	if (document.documentElement.scrollHeight > innerHeight + 1) bad.push("the page scrolls");
	return bad;
})()`

// contrastCheck computes each text's contrast (WCAG 2.2, 1.4.3): 4.5:1, for
// large text 3:1. What stands on a picture is taken to stand on white; of a
// gradient every colour counts.
const contrastCheck = `(() => {
	const bad = [];
	const parse = (text) => [...text.matchAll(/rgba?\(([^)]+)\)/g)].map((m) => m[1].split(/[\s,\/]+/).map(Number)).map(([r, g, b, a = 1]) => ({ r, g, b, a }));
	const over = (t, u) => ({ r: t.r * t.a + u.r * (1 - t.a), g: t.g * t.a + u.g * (1 - t.a), b: t.b * t.a + u.b * (1 - t.a), a: 1 });
	const lum = (c) => { const [r, g, b] = [c.r, c.g, c.b].map((v) => v / 255).map((v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
	const ratio = (a, b) => { const [x, y] = [lum(a), lum(b)].sort((m, n) => n - m); return (x + .05) / (y + .05); };
	const grounds = (e) => {
		if (!e || e.matches("figure")) return e?.matches(".remote[data-picture=no], #self[data-picture=no]") ? parse(getComputedStyle(e).backgroundColor) : [{ r: 255, g: 255, b: 255, a: 1 }];
		const style = getComputedStyle(e);
		const own = [...parse(style.backgroundImage), ...parse(style.backgroundColor)].filter((c) => c.a > 0);
		const solid = own.filter((c) => c.a === 1);
		if (solid.length) return solid;
		const below = grounds(e.parentElement ?? null);
		return own.length ? own.flatMap((c) => below.map((u) => over(c, u))) : below;
	};
	const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (walker.nextNode()) {
		const e = walker.currentNode.parentElement;
		if (!walker.currentNode.textContent.trim() || !e.getClientRects().length || e.closest(".unseen, :disabled, svg, textarea")) continue;
		const style = getComputedStyle(e);
		if (style.visibility === "hidden") continue;
		const size = parseFloat(style.fontSize);
		const need = size >= 24 || size >= 18.66 && Number(style.fontWeight) >= 700 ? 3 : 4.5;
		const [ink] = parse(style.color);
		const worst = Math.min(...grounds(e).map((g) => ratio(ink, g)));
		if (worst < need) bad.push("contrast " + worst.toFixed(2) + ": " + (e.id || e.className || e.textContent.slice(0, 30)));
	}
	return bad;
})()`

// accessCheck finds what somebody with a screen reader would miss.
const accessCheck = `(() => {
	const bad = [];
	if (!document.documentElement.lang) bad.push("no language");
	const ids = [...document.querySelectorAll("[id]")].map((e) => e.id).filter(Boolean);
	for (const id of ids.filter((id, i) => ids.indexOf(id) !== i)) bad.push("twice: #" + id);
	for (const e of document.querySelectorAll("[aria-labelledby], [aria-describedby]"))
		for (const id of ((e.getAttribute("aria-labelledby") ?? "") + " " + (e.getAttribute("aria-describedby") ?? "")).split(" "))
			if (id && !document.getElementById(id)) bad.push("names nothing: " + id);
	for (const e of document.querySelectorAll("button, input, textarea, video, [role=dialog]")) {
		if (!e.getClientRects().length) continue;
		if (!e.textContent.trim() && !e.ariaLabel && !e.labels?.length && !e.hasAttribute("aria-labelledby")) bad.push("no name: " + (e.id || e.className || e.tagName));
	}
	for (const svg of document.querySelectorAll("svg")) if (!svg.closest("[aria-hidden=true]")) bad.push("a picture is read out");
	if (!document.querySelector("#live[aria-live]")?.textContent) bad.push("nothing is said");
	if (document.querySelector("[tabindex]:not([tabindex='0'], [tabindex='-1'])")) bad.push("an order of its own");
	return bad;
})()`
