"""What a browser would send of a form that nobody has touched."""

from html.parser import HTMLParser


def form_with(page: str, do: str) -> dict[str, str]:
    """The fields of that form of a page which has a button of that name, or of one that begins so."""
    reader = _Forms()
    reader.feed(page)
    (fields,) = [fields for fields, buttons in reader.forms if any(each.startswith(do) for each in buttons)]
    return fields


class _Forms(HTMLParser):
    """The fields of each form of a page, and what its buttons say."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[tuple[dict[str, str], list[str]]] = []
        self._select = ""
        self._open = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own = dict(attrs)
        name, value = own.get("name") or "", own.get("value") or ""
        if tag == "form":
            self.forms.append(({}, []))
        elif tag == "input" and self.forms and own.get("type") not in ("checkbox", "range"):
            self.forms[-1][0][name] = value
        elif tag in ("select", "textarea"):
            self._select = name
            if tag == "textarea":
                self._open = tag
                self.forms[-1][0][name] = ""
        elif (
            tag == "option" and self._select and ("selected" in own or self._select not in self.forms[-1][0])
        ):
            self.forms[-1][0][self._select] = value
            self._open = tag if "value" not in own else ""
        elif tag == "button":
            self._open = tag

    def handle_endtag(self, tag: str) -> None:
        self._open = ""
        if tag in ("select", "textarea"):
            self._select = ""

    def handle_data(self, data: str) -> None:
        if self._open == "button":
            self.forms[-1][1].append(data.strip())
        elif self._open:
            self.forms[-1][0][self._select] = data
