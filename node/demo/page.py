"""The demo's page: what was sent, what came back, and what to try next. No scripts, no network."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

from node.demo.received import Answer, draw
from node.demo.studies import TRUTH
from node.results.outcomes import DISCLAIMER

INDEX, PICTURES = "index.html", "pictures"

STYLE = """
:root { --ink: #1d2733; --pale: #5d6b7a; --line: #d9dfe6; --paper: #f5f7f9; --amber: #ffc800; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
.warning { background: var(--amber); padding: 10px 24px; font-weight: 600; }
main { max-width: 1080px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 8px; }
h2 { font-size: 21px; margin: 40px 0 12px; }
h3 { font-size: 18px; margin: 0; }
p { margin: 0 0 12px; max-width: 76ch; }
a { color: #1257a8; }
code { background: #e8edf2; border-radius: 4px; padding: 1px 5px; font-size: 14px; }
.pale { color: var(--pale); }
.wide { overflow-x: auto; margin: 0 0 12px; }
.whole { white-space: nowrap; }
table { border-collapse: collapse; width: 100%; background: white; border: 1px solid var(--line); }
th, td { text-align: left; padding: 9px 14px; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th { font-size: 14px; color: var(--pale); font-weight: 600; }
td.number, th.number { text-align: right; white-space: nowrap; }
section.study { background: white; border: 1px solid var(--line); border-radius: 8px;
  margin: 0 0 24px; overflow: hidden; }
section.study > header { padding: 16px 20px 12px; }
section.study img { display: block; width: 100%; height: auto; background: black; }
.faults { border-left: 4px solid #b3261e; background: white; padding: 12px 16px; margin: 16px 0; }
ol { padding-left: 22px; max-width: 76ch; } li { margin: 0 0 8px; }
"""

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Midline demo</title>
<style>$style</style>
</head>
<body>
<div class="warning">$disclaimer The heads are synthetic: no patient is shown.</div>
<main>
<h1>Midline demo</h1>
<p>$count synthetic head CT studies were sent to a Midline node by C-STORE. The node noticed by
itself when each was complete, analysed it, and sent its results to the PACS. Everything below is
read from what the PACS received.</p>
$faults
<div class="wide"><table>
<thead><tr><th>Study</th><th>Made with</th><th>Report says</th><th>Report measures</th>
<th class="number">Last image to report</th><th>Files</th></tr></thead>
<tbody>
$rows
</tbody></table></div>
<p class="pale">NEGATIVE means that the model did not detect haemorrhage; it does not exclude it.
These heads were chosen to show both outcomes; they say nothing about how often the model is right.
The time includes the second of silence after which a study counts as complete, and the wait behind
the studies sent before it.</p>
<h2>Pictures</h2>
<p class="pale">Outlines are those of the received Segmentation on the images that were sent.
R and L are the sides of the patient.</p>
$studies
<h2>What to do next</h2>
<ol>
<li>Open the files in any DICOM viewer: images in <a href="studies/">studies/</a>, what the node
made of them in <a href="pacs/">pacs/</a>.</li>
<li>Look after the node that ran here:
<code>midline --config $config status</code> and
<code>midline --config $config queue list</code>; its log is <a href="node.log">node.log</a>.</li>
<li>Analyse a study of your own, without a network:
<code>midline segment FOLDER --out results</code>.</li>
<li>Run a node for your PACS: put its address into a settings file (see
<code>config/midline.example.toml</code>), then <code>midline --config FILE serve</code>, and send
studies to it: <code>midline send FOLDER --to MIDLINE@localhost:11112</code>.</li>
</ol>
</main>
</body>
</html>
""")


def write(folder: Path, answers: Sequence[Answer], faults: Sequence[str]) -> Path:
    """Draw the pictures and write the page; give back its path.

    Parameters
    ----------
    folder
        The demo's; all links are relative to it.
    answers
        What came back.
    faults
        What is missing or wrong, shown first.
    """
    (folder / PICTURES).mkdir(exist_ok=True)
    for answer in answers:
        _picture(folder, answer).write_bytes(draw(answer))
    index = folder / INDEX
    index.write_text(
        PAGE.substitute(
            style=STYLE,
            disclaimer=escape(DISCLAIMER),
            count=len(answers),
            faults=_faults(faults),
            rows="\n".join(_row(folder, answer) for answer in answers),
            studies="\n".join(_section(folder, answer) for answer in answers),
            config=escape(str(folder / "settings.toml")),
        ),
        encoding="utf-8",
    )
    return index


def _picture(folder: Path, answer: Answer) -> Path:
    return folder / PICTURES / f"{answer.study.folder.name}.png"


def _faults(faults: Sequence[str]) -> str:
    if not faults:
        return ""
    items = "".join(f"<li>{escape(fault)}</li>" for fault in faults)
    return f'<div class="faults"><strong>Not as it should be</strong><ul>{items}</ul></div>'


def _row(folder: Path, answer: Answer) -> str:
    cells = (
        escape(answer.study.head.title),
        _listed(answer.study.truth_in_words),
        f"<strong>{escape(answer.wording.word)}</strong>",
        _listed(answer.found_in_words),
    )
    plain = "".join(f"<td>{cell}</td>" for cell in cells)
    return (
        f'<tr>{plain}<td class="number">{answer.seconds:.1f} s</td>'
        f"<td>{_links(folder, answer)}</td></tr>"
    )


def _listed(words: str) -> str:
    """Keep each part of a list on one line."""
    return ", ".join(f'<span class="whole">{escape(word)}</span>' for word in words.split(", "))


def _links(folder: Path, answer: Answer) -> str:
    files = {
        "report": answer.report_path,
        "segmentation": answer.segmentation_path,
        "truth": answer.study.folder / TRUTH,
    }
    return ", ".join(
        f'<a href="{escape(path.relative_to(folder).as_posix())}">{name}</a>'
        for name, path in files.items()
        if path is not None
    )


def _section(folder: Path, answer: Answer) -> str:
    title = escape(answer.study.head.title)
    picture = escape(_picture(folder, answer).relative_to(folder).as_posix())
    return (
        f'<section class="study"><header><h3>{title}</h3>'
        f'<span class="pale">{escape(answer.wording.sentence)}</span></header>'
        f'<a href="{picture}"><img src="{picture}" alt="Slices of the study: {title}. '
        f'{escape(answer.wording.headline)}"></a></section>'
    )
