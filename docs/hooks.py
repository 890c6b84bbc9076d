"""What MkDocs cannot know: documents outside docs/, and links to what is no page of the site."""

import os
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
OF_THE_ROOT = {
    ROOT / "ARCHITECTURE.md": "architecture.md",
    ROOT / "CONTRIBUTING.md": "contributing.md",
    ROOT / "CHANGELOG.md": "changelog.md",
}
"""Documents that stand in the root, and what they are in the site."""
LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]+)\]\((?P<path>[^)#:\s]+)(?P<anchor>#[^)\s]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List the decisions, of which there will be more."""
    decisions = [f"adr/{path.name}" for path in sorted((DOCS / "adr").glob("[0-9]*.md"))]
    config.nav = [*(config.nav or ()), {"Decisions": ["adr/README.md", *decisions]}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Let the documents of the root be pages."""
    for path, page in OF_THE_ROOT.items():
        files.append(File.generated(config, page, content=path.read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - MkDocs passes all four by name
    """Lead each link to a page of the site, or say where in the repository the thing is."""
    uri = page.file.src_uri
    is_of_the_root = uri in OF_THE_ROOT.values()
    folder = ROOT if is_of_the_root else (DOCS / uri).parent

    def relinked(match: re.Match[str]) -> str:
        target = (folder / match["path"]).resolve()
        if target in OF_THE_ROOT:
            target = DOCS / OF_THE_ROOT[target]
        elif not target.is_relative_to(DOCS):
            return f"{match['text']} (`{os.path.relpath(target, ROOT)}`)"
        path = os.path.relpath(target, (DOCS / uri).parent)
        return f"[{match['text']}]({path}{match['anchor'] or ''})"

    return LINK.sub(relinked, markdown)
