"""Pictures in two themes: a page names NAME.svg, the site shows NAME-dark.svg to dark readers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.transforms import SphinxTransform

if TYPE_CHECKING:
    from sphinx.application import Sphinx

__all__ = ["ThemedPictures", "setup"]


class ThemedPictures(SphinxTransform):
    """Where there is a dark picture, each image becomes two, one for each theme."""

    default_priority = 200

    def apply(self, **kwargs: Any) -> None:
        folder = Path(self.env.doc2path(self.env.docname)).parent
        for image in list(self.document.findall(nodes.image)):
            uri = image["uri"]
            dark_uri = uri.removesuffix(".svg") + "-dark.svg"
            if uri.endswith(".svg") and (folder / dark_uri).exists():
                dark = image.deepcopy()
                dark["uri"] = dark_uri
                image["classes"] = [*image["classes"], "only-light"]
                dark["classes"] = [*dark["classes"], "only-dark"]
                image.parent.insert(image.parent.index(image) + 1, dark)


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_transform(ThemedPictures)
    return {"parallel_read_safe": True}
