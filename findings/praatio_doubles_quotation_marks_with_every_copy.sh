#!/usr/bin/env bash
# praatio doubles the quotation marks in the label of a point with every copy: say "hi" becomes say ""hi"".
#
# Version:     praatio 6.2.2
# Expectation: the label of a point in a TextGrid comes back as it was saved, in the long form as in the short one, and
#              as the label of an interval does.
# Behaviour:   the format writes a quotation mark within a label twice, and praatio does so for both kinds. When it
#              reads the long form, it turns two marks into one for intervals, but not for points. So each time that a
#              file is read and saved, the marks are twice as many, and a label is not found any more. Nothing is said.
# Seen:        long form, point: say "hi" -> 1st copy say ""hi"" -> 2nd copy say """"hi""""; interval: say "hi"
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet praatio==6.2.2
cd "$folder"
"$folder/venv/bin/python" -W error::UserWarning - <<'PY'
from praatio import textgrid

LABEL = 'say "hi"'
for form in ("short_textgrid", "long_textgrid"):
    grid = textgrid.Textgrid(0, 10)
    grid.addTier(textgrid.IntervalTier("words", [(1, 2, LABEL)], 0, 10))
    grid.addTier(textgrid.PointTier("events", [(5, LABEL)], 0, 10))
    for copy in (1, 2):
        grid.save("x.TextGrid", format=form, includeBlankSpaces=True)
        grid = textgrid.openTextgrid("x.TextGrid", includeEmptyIntervals=False)
        word = grid.getTier("words").entries[0].label
        event = grid.getTier("events").entries[0].label
        print(form, "copy", copy, "interval", word, "point", event)
        assert word == LABEL
        assert event == (LABEL.replace('"', '"' * 2**copy) if form == "long_textgrid" else LABEL)
PY
