"""How the page of operations looks and finds: its style, its script, its icon."""

from __future__ import annotations

from typing import Final

ICON: Final = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Cpath fill='%23c2410c' d='M2 3h12v3H2zm0 4h8v3H2zm0 4h10v3H2z'/%3E%3C/svg%3E"
)

STYLE: Final = """
:root {
  color-scheme: light dark;
  --paper: #faf9f7; --card: #fff; --ink: #1c1a17; --soft: #635d54; --line: #e4dfd7;
  --accent: #b93c0a; --tint: #f3efe9; --get: #0b6b5b; --put: #8a5200; --post: #5b3fb0;
  --delete: #b3261e; --other: #5b5f66; --yes: #0b6b5b; --shadow: 0 1px 2px #1c1a170f;
  --mono: ui-monospace, "SF Mono", "Cascadia Code", Menlo, Consolas, monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #131417; --card: #1b1d21; --ink: #e9e6e1; --soft: #a39d93; --line: #2d3036;
    --accent: #ff9361; --tint: #23262b; --get: #5fd3bc; --put: #f0b35b; --post: #b7a2ff;
    --delete: #ff8f87; --other: #a9b0ba; --yes: #5fd3bc; --shadow: none;
  }
}
* { box-sizing: border-box; }
html { scroll-padding-top: 5rem; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
.wrap, main { max-width: 62rem; margin: 0 auto; padding: 0 1.25rem; }
a { color: var(--accent); text-underline-offset: .15em; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
[hidden] { display: none !important; }
header { padding: 2.75rem 0 1.5rem; }
.mark { margin: 0; font-weight: 700; letter-spacing: -.01em; color: var(--accent); }
.mark span { font: 500 .8rem var(--mono); color: var(--soft); margin-left: .35rem; }
h1 { margin: .3rem 0 .6rem; font-size: clamp(1.7rem, 5vw, 2.4rem); line-height: 1.15;
  letter-spacing: -.025em; text-wrap: balance; }
.lead { max-width: 40rem; margin: 0 0 1rem; color: var(--soft); }
.lead b { color: var(--ink); }
.start > summary { cursor: pointer; color: var(--accent); font-weight: 550; width: fit-content; }
.start p { max-width: 40rem; }
.tools { position: sticky; top: 0; z-index: 1; background: var(--paper);
  border-bottom: 1px solid var(--line); }
.tools .wrap { display: flex; flex-wrap: wrap; gap: .6rem 1rem; align-items: center;
  padding-top: .7rem; padding-bottom: .7rem; }
#find { flex: 1 1 15rem; min-width: 0; font: inherit; color: inherit; padding: .5rem .8rem;
  background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
fieldset { display: flex; margin: 0; padding: 3px; gap: 2px; background: var(--tint);
  border: 0; border-radius: 9px; font-size: .9rem; }
legend, fieldset input { position: absolute; opacity: 0; pointer-events: none; }
label { padding: .3rem .75rem; border-radius: 7px; cursor: pointer; color: var(--soft); }
label:has(:checked) { background: var(--card); color: var(--ink); box-shadow: var(--shadow); }
label:has(:focus-visible) { outline: 2px solid var(--accent); }
body:has(#show-yes:checked) .op.refused, body:has(#show-refused:checked) .op.yes {
  display: none; }
h2 { margin: 2.2rem 0 .7rem; font-size: 1.15rem; letter-spacing: -.01em; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  overflow: hidden; box-shadow: var(--shadow); }
.op + .op { border-top: 1px solid var(--line); }
.op > summary { display: grid; grid-template-columns: 4rem 1.1fr 1fr 5.2rem; gap: 0 .8rem;
  align-items: baseline; padding: .6rem 1rem; cursor: pointer; list-style: none; }
.op > summary::-webkit-details-marker { display: none; }
.op > summary:hover, .op[open] > summary { background: var(--tint); }
.method { font: 700 .75rem var(--mono); letter-spacing: .03em; color: var(--other); }
.get { color: var(--get); } .put { color: var(--put); } .post { color: var(--post); }
.delete { color: var(--delete); }
.name { font-weight: 600; overflow-wrap: anywhere; }
.target { color: var(--soft); overflow-wrap: anywhere; }
.support { font-size: .78rem; font-weight: 600; color: var(--soft); text-align: right; }
.yes .support { color: var(--yes); }
.support::before { content: "\\25CB"; margin-right: .35rem; }
.yes .support::before { content: "\\25CF"; }
.refused .name { font-weight: 450; color: var(--soft); }
.more { padding: .2rem 1rem 1.2rem; border-top: 1px solid var(--line); }
h3 { margin: 1.3rem 0 .4rem; font-size: .74rem; letter-spacing: .07em;
  text-transform: uppercase; color: var(--soft); }
code { font: .875em/1.5 var(--mono); }
pre { margin: 0; padding: .8rem 1rem; overflow-x: auto; background: var(--tint);
  border-radius: 8px; }
dl { display: flex; flex-wrap: wrap; gap: .3rem 1.8rem; margin: 0; font-size: .93rem; }
dl div { display: flex; gap: .5rem; } dt { color: var(--soft); } dd { margin: 0; }
table { width: 100%; border-collapse: collapse; font-size: .93rem; }
th { text-align: left; font-weight: 550; color: var(--soft); font-size: .82rem; }
th, td { padding: .35rem .8rem .35rem 0; vertical-align: top; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; }
tbody tr:last-child td { border-bottom: 0; }
td:first-child { width: 19rem; } td:nth-child(2) { width: 9rem; color: var(--soft); }
.card > table { margin: .3rem 1rem; width: calc(100% - 2rem); }
.must { font-size: .74rem; font-weight: 600; color: var(--accent); }
.codes { display: flex; flex-wrap: wrap; gap: .35rem; margin: 0; padding: 0; list-style: none;
  font-size: .88rem; }
.codes li { padding: .1rem .55rem; background: var(--tint); border-radius: 6px; }
.codes b { font-weight: 600; color: var(--soft); }
.codes .rest { background: none; padding-left: 0; }
#none { padding: 2.5rem 0; text-align: center; color: var(--soft); }
footer { margin-top: 2.5rem; padding: 1.2rem 0 3rem; border-top: 1px solid var(--line);
  font-size: .9rem; color: var(--soft); overflow-wrap: anywhere; }
@media (max-width: 46rem) {
  header { padding-top: 1.75rem; }
  .op > summary { grid-template-columns: 3.4rem 1fr auto; gap: 0 .6rem; }
  .target { grid-column: 2 / -1; grid-row: 2; font-size: .8rem; }
  fieldset { flex: 1; } label { flex: 1; text-align: center; }
  thead { display: none; }
  tr { display: block; padding: .45rem 0; border-bottom: 1px solid var(--line); }
  tbody tr:last-child { border-bottom: 0; }
  td, td:first-child, td:nth-child(2) { display: block; width: auto; padding: 0; border: 0; }
  td:nth-child(2) { font-size: .82rem; }
}
@media print { .tools { display: none; } .card { border: 0; overflow: visible; } }
"""

SCRIPT: Final = """
const find = document.getElementById("find");
const sections = [...document.querySelectorAll("section.ops")];
function filter() {
  const words = find.value.toLowerCase().split(/\\s+/).filter(Boolean);
  let found = 0;
  for (const section of sections) {
    let here = 0;
    for (const op of section.querySelectorAll(".op")) {
      op.hidden = !words.every((word) => op.dataset.find.includes(word));
      here += !op.hidden;
    }
    section.hidden = !here;
    found += here;
  }
  document.getElementById("none").hidden = found > 0;
}
function unfold() {
  const op = document.getElementById(location.hash.slice(1));
  if (op && op.matches(".op")) { op.open = true; op.scrollIntoView(); }
}
find.hidden = false;
find.addEventListener("input", filter);
addEventListener("hashchange", unfold);
addEventListener("keydown", (event) => {
  if (event.key === "/" && event.target === document.body) { event.preventDefault(); find.focus(); }
});
filter();
unfold();
"""
