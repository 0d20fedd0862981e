"""The frame of every page: style and scripts inlined, a content security policy that allows just these, readable
without scripts.
"""

import base64
import hashlib
import html
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import htpy as h
from markupsafe import Markup

type Node = h.Node
_SIGNS = frozenset("+-0123456789")  # what a number begins with

STYLE = """
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--soft:#57606a;--line:#d0d7de;--card:#f6f8fa;--ref:#8c959f;--win:#0b62d6;
--good:#117a4a;--bad:#b35900;--stop:#a40e26;--a:#0b62d6;--b:#b35900;--c:#5b3ea6}
@media (prefers-color-scheme:dark){:root{--bg:#0d1117;--fg:#e6edf3;--soft:#9aa4ae;--line:#30363d;--card:#161b22;--ref:#768390;--win:#6cb6ff;
--good:#56d39b;--bad:#f0a35e;--stop:#ff8a92;--a:#6cb6ff;--b:#f0a35e;--c:#b8a1f5}}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;padding:1rem;max-width:62rem;background:var(--bg);color:var(--fg)}
h1{font-size:1.5rem;margin:.2em 0}h2{font-size:1.15rem;margin:1.6em 0 .4em}h3{font-size:1rem;margin:.2em 0}
a{color:var(--a)}p{margin:.4em 0}.soft{color:var(--soft)}
.state{border-left:.35rem solid var(--good);background:var(--card);padding:.6rem .9rem;margin:.6rem 0}
.state.plain{border-color:var(--line)}.state.look{border-color:var(--bad)}.state.act{border-color:var(--stop)}.state ul{margin:.3em 0 0;padding-left:1.2em}
.cards{display:flex;flex-wrap:wrap;gap:.6rem;margin:.6rem 0}.cards div{background:var(--card);padding:.5rem .8rem;border-radius:.4rem;min-width:8.5rem}
.cards b{display:block;font-size:1.25rem}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(18rem,1fr));gap:1rem}
figure{margin:0;padding:.6rem;border:1px solid var(--line);border-radius:.4rem;break-inside:avoid}
figcaption{font-size:.875rem;color:var(--soft)}figure svg:not(.sign){width:100%;height:auto;display:block}
.sign{display:inline-block}svg text{fill:var(--fg);font:11px system-ui,sans-serif;paint-order:stroke;stroke:var(--bg);stroke-width:3px;stroke-linejoin:round}.served0+text,.served1+text{stroke:none}svg .soft{fill:var(--soft)}
.ref{fill:var(--ref);opacity:.55}.win{fill:none;stroke:var(--win);stroke-width:2}.winbar{fill:var(--win)}
.axis{stroke:var(--line)}.la{stroke:var(--a);fill:none;stroke-width:2}.lb{stroke:var(--b);fill:none;stroke-width:2;stroke-dasharray:6 3}
.lc{stroke:var(--c);fill:none;stroke-width:2;stroke-dasharray:2 3}.band{fill:var(--a);opacity:.14}.bandb{fill:var(--b);opacity:.14}
.da{fill:var(--a)}.db{fill:var(--b)}.dc{fill:var(--c)}.floor{stroke:var(--stop);stroke-dasharray:4 4}
.odd{fill:var(--card)}.key{font-size:.875rem;color:var(--soft)}.key span{margin-right:1.2em;white-space:nowrap}
.when{stroke:var(--ref);stroke-dasharray:1 3}.served0{fill:var(--card)}.served1{fill:var(--line)}
.is-promote{fill:var(--good)}.is-rollback{fill:var(--stop)}.is-refuse{fill:none;stroke:var(--bad);stroke-width:2.5}.is-move{fill:var(--a)}.is-other{fill:var(--soft)}
.dots.other{stroke:var(--b)}.dots{stroke:var(--a);stroke-width:7;stroke-linecap:round}.roomy{grid-template-columns:repeat(auto-fill,minmax(min(20rem,100%),1fr))}
.cells path{stroke:var(--win);stroke-width:15px}
.table{overflow-x:auto}table{border-collapse:collapse;font-size:.875rem;margin:.4rem 0}
time,td.n{white-space:nowrap}figure.half{max-width:26rem}figure.wide+figure.wide{margin-top:.6rem}th{vertical-align:bottom!important}
th,td{text-align:left;padding:.2rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
.ok{color:var(--good)}.no{color:var(--stop)}.moved{color:var(--bad)}summary{cursor:pointer;color:var(--a);font-size:.875rem}
button{font:inherit;font-size:.8rem;border:1px solid var(--line);background:var(--card);color:var(--fg);border-radius:.3rem;padding:.1rem .5rem}
input[type=range]{width:100%}code{overflow-wrap:anywhere}
a:focus-visible,summary:focus-visible,button:focus-visible,input:focus-visible{outline:2px solid var(--a);outline-offset:2px}
@media(max-width:40rem){.wide .scroll{overflow-x:auto}.wide .scroll>svg{min-width:40rem}td:last-child:not(.n){min-width:20rem}}
@media print{body{max-width:none;font-size:11px}details:not([open]),button,nav{display:none}}
"""

# Times in the reader's zone (UTC stays in the title), tables as CSV, and the threshold slider of a model's card.
SCRIPT = """
for(const t of document.querySelectorAll('time')){const d=new Date(t.dateTime);if(!isNaN(d)){t.title=t.textContent;t.textContent=d.toLocaleString(undefined,{dateStyle:'medium',timeStyle:'short'})}}
for(const t of document.querySelectorAll('table')){const b=document.createElement('button');b.type='button';b.textContent='Copy as CSV';
b.onclick=()=>{const q=s=>/[",\\n]/.test(s)?'"'+s.replaceAll('"','""')+'"':s;
const x=[...t.rows].map(r=>[...r.cells].map(c=>q(c.textContent.trim())).join(',')).join('\\n');
navigator.clipboard?navigator.clipboard.writeText(x).then(()=>b.textContent='Copied'):0};t.parentElement.before(b)}
for(const w of document.querySelectorAll('.wide .scroll:not(.start)'))w.scrollLeft=w.scrollWidth;
const s=document.querySelector('#threshold');if(s){const d=JSON.parse(document.querySelector('#curve').textContent),o=document.querySelector('#chosen');
const f=x=>(100*x).toFixed(1)+'%';const u=()=>{const r=d.rows[+s.value];let m='From probability '+r.threshold.toFixed(3)+': '+f(r.flagged)+
' flagged, recall '+f(r.recall)+', precision '+f(r.precision);if(d.costs){const v=(d.costs.miss*r.recall*d.base-d.costs.offer*r.flagged)*1000;
m+=', worth '+v.toFixed(0)+' per 1,000 rows'}o.textContent=m+'.';s.setAttribute('aria-valuetext',m)};s.oninput=u;s.disabled=false;u()}
"""


def policy() -> str:
    """The content security policy of a page: its own style and script, nothing from anywhere else."""
    return (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
        f"style-src '{_hash(STYLE)}'; script-src '{_hash(SCRIPT)}'"
    )


def page(title: str, lead: Node, *body: Node, crumbs: Sequence[tuple[str, str]] = ()) -> bytes:
    """One self-contained page. ``crumbs``: (text, relative address) of the pages above it."""
    document = h.html(lang="en")[
        h.head[
            h.meta(charset="utf-8"),
            h.meta(name="viewport", content="width=device-width, initial-scale=1"),
            h.meta(http_equiv="Content-Security-Policy", content=policy()),
            h.title[title],
            h.style[Markup(STYLE)],  # noqa: S704 - a constant of this file
        ],
        h.body[
            crumbs
            and h.nav(aria_label="Where this page is")[[(h.a(href=address)[text], " / ") for text, address in crumbs]],
            h.main[h.h1[title], lead, body],
            h.script[Markup(SCRIPT)],  # noqa: S704 - a constant of this file
        ],
    ]
    return f"{document}\n".encode()


def state(text: Node, level: str = "well") -> Node:
    """A sentence that says how things are; ``level`` is "well", "look", "act", or "plain" beside a worse one; said in
    words, too, for who sees no colours.
    """
    word = {"well": "", "plain": "", "look": "To look at: ", "act": "To act on: "}[level]
    return h.div(class_=f"state {level}")[h.strong[word] if word else None, text]


def cards(items: Iterable[tuple[str, Node]]) -> Node:
    """Figures with their names."""
    return h.div(class_="cards")[[h.div[h.b[value], h.span(class_="soft")[name]] for name, value in items]]


def table(head: Sequence[str], rows: Iterable[Sequence[Node]], *, caption: str | None = None) -> Node:
    """A table; cells that are numbers, or texts of one, are aligned to the right.

    A window's page has 1,600 cells. They are written as text at once, each escaped, without the end tags that HTML
    lets out: an element object a cell takes four times as long.

    >>> print(table(["name", "rows"], [["<b>", "1,234"]]))
    <div class="table"><table><thead><tr><th scope="col">name</th><th scope="col" class="n">rows</th></tr></thead><tbody><tr><td>&lt;b&gt;<td class=n>1,234</tbody></table></div>
    """
    written = [list(row) for row in rows]
    right = [_is_number(cell) for cell in written[0]] if written else []
    heads = [
        f'<th scope="col"{' class="n"' if number_below else ""}>{html.escape(name)}</th>'
        for name, number_below in zip(head, [*right, *[False] * len(head)], strict=False)
    ]
    return h.div(class_="table")[
        h.table[
            caption and h.caption[caption],
            h.thead[h.tr[Markup("".join(heads))]],  # noqa: S704 - escaped above
            h.tbody[Markup("".join(map(_row, written)))],  # noqa: S704 - _row escapes each cell
        ]
    ]


def _row(cells: Sequence[Node]) -> str:
    return "<tr>" + "".join(
        [
            f"{'<td class=n>' if _is_number(cell) else '<td>'}"
            f"{html.escape(cell) if type(cell) is str else h.fragment[cell]}"
            for cell in cells
        ]
    )


def folded(summary: str, *content: Node) -> Node:
    """Content behind a line that opens it: works by keyboard, and without scripts."""
    return h.details[h.summary[summary], content]


def moment(text: object) -> Node:
    """An ISO time in UTC; the script shows it in the reader's zone and keeps UTC as the title."""
    value = str(text)
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        return value
    return h.time(datetime=value)[f"{parsed:%Y-%m-%d %H:%M} UTC"]


def number(value: object, digits: int = 3) -> str:
    """A figure for people; "not known" where there is none.

    >>> number(0.12345), number(None), number(1234567, 0), number(float("nan"))
    ('0.123', 'not known', '1,234,567', 'not known')
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return "not known"
    return f"{value:,.{digits}f}"


def share(value: object) -> str:
    """A share as a percentage.

    >>> share(0.256), share(None)
    ('25.6%', 'not known')
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return "not known"
    return f"{100 * value:.1f}%"


def estimate(value: object, digits: int = 3) -> str:
    """A figure with its 95% interval, as the documents store it.

    >>> estimate({"value": 0.83, "low": 0.8, "high": 0.86})
    '0.830 [0.800, 0.860]'
    """
    if not isinstance(value, dict) or "value" not in value:
        return number(value, digits)
    return f"{number(value['value'], digits)} [{number(value.get('low'), digits)}, {number(value.get('high'), digits)}]"


def p_value(value: float) -> str:
    """A p value to two digits.

    >>> p_value(0.0123), p_value(0.0)
    ('0.012', 'under 1e-300')
    """
    return f"{value:.2g}" if value >= 1e-300 else "under 1e-300"


def json_data(identifier: str, value: Any) -> Node:
    """Data for the script. No text in it can end the element early."""
    text = json.dumps(value).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return h.script(type="application/json", id=identifier)[Markup(text)]  # noqa: S704 - escaped above


def _is_number(cell: Node) -> bool:
    return isinstance(cell, int | float) or (isinstance(cell, str) and cell[:1] in _SIGNS and len(cell) < 24)


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
