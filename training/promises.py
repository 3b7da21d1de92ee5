"""What the report says of confidence, of accepted answers and of what is no digit, and over what that holds."""

from __future__ import annotations

from html import escape

from digits.model.manifest import Manifest, OutlierRow
from training.evaluate import MIXTURE_ACCURACY, MOST_CLEAN_REFUSED, MOST_DISTORTED_REFUSED
from training.markup import table
from training.number_answers import TARGET_EXACT
from training.tables import numbers


def confidence(manifest: Manifest) -> str:
    """Return the passage on confidence, thresholds and the mixture."""
    rows = manifest.test_robustness
    assert rows is not None
    calibration = f"""<p>Logits are divided by {manifest.temperature:.3f}, fitted on the holdout: on clean digits, on
the rows of the robustness table and on what is no digit and answered all the same, weighted as in the mixture. The
expected calibration error is {manifest.test.expected_calibration_error:.2%} on the test digits, and
{rows.expected_calibration_error:.2%} over all rows of the robustness table, where the negative log-likelihood is
{rows.negative_log_likelihood:.4f} nats.</p>"""
    return "\n".join((calibration, _accepted(manifest), _rejected(manifest), _mixture(manifest)))


def on_numbers(manifest: Manifest) -> str:
    """Return the section on the reader, if there is one."""
    reader = manifest.reader
    if reader is None:
        return "<h2>Numbers</h2><p>This version has no reader: it reads single digits only.</p>"
    least, agree = reader.acceptance_threshold, reader.agreement_threshold
    accept = "At no confidence are enough of the rows right: no number is accepted."
    if least is not None:
        accept = f"""A row is accepted if it is read with a confidence of at least {least:.3f} and the classifier gives
at least {agree:g} to each digit that touches no other, and a number if all of its rows are: of the accepted rows
{TARGET_EXACT:.1%} are wholly right on the holdout, all kinds together."""
    return f"""<h2>Numbers</h2>
<p>A second network reads rows of digits: {reader.recipe.parameter_count:,} parameters, trained on
{reader.line_count:,} lines that were drawn out of the training digits. {accept} Confidence is the probability that
the whole text is right; its calibration error is {reader.test.expected_calibration_error:.2%} on the test pictures
of numbers.
Both networks read {reader.agreement:.2%} of the clean test digits alike.</p>
<p>The pictures are made of digits of the holdout and of the test digits. A row of no number is right if nothing is
read.</p>
<div class="wide">{numbers(reader)}</div>"""


def _accepted(manifest: Manifest) -> str:
    accept, rows = manifest.acceptance_threshold, manifest.test_robustness
    assert rows is not None
    if accept is None:
        return "<p>At no confidence are enough of the answers on the holdout right: nothing is accepted.</p>"
    right = f", of which {rows.accepted_accuracy:.2%} are right" if rows.accepted_accuracy is not None else ""
    over = f", and {MIXTURE_ACCURACY:.1%} over the mixture" if manifest.mixture else ""
    return f"""<p>Answers with a confidence of at least {accept:.4f} and without warnings are accepted: 99.9 % of those
are right on the holdout{over}, and they are {manifest.acceptance_coverage:.1%} of the holdout. Over all rows of the
robustness table, {rows.accepted_share:.1%} are accepted{right}.</p>"""


def _rejected(manifest: Manifest) -> str:
    reject = manifest.rejection_threshold
    if reject is None:
        return "<p>No picture is refused for being no digit.</p>"
    return f"""<p>Below a confidence of {reject:.4f} a picture is refused as no digit. That is as high as it can be
without refusing more than {MOST_CLEAN_REFUSED:.1%} of the clean digits of the holdout, or more than
{MOST_DISTORTED_REFUSED:.0%} of the distorted ones that are read correctly. In between, the answer is given, and not
accepted.</p>"""


def _mixture(manifest: Manifest) -> str:
    mixture = manifest.mixture
    if mixture is None:
        return ""
    right, error = mixture.accepted_accuracy, mixture.expected_calibration_error
    rows = [
        (escape(part.name), f"{part.weight:.0%}", f"{part.accepted:.2%}", f"{part.right:.2%}") for part in mixture.parts
    ]
    return f"""<p>What confidence and acceptance promise holds over a mixture that stands for what people send. It is
an assumption: {_weights(manifest)}. On the holdout, {mixture.accepted_share:.1%} of the mixture are
accepted{"" if right is None else f", of which {right:.2%} are right"}{
        "" if error is None else f"; the calibration error of all answers is {error:.2%}"
    }. Over another mixture, with more letters among it, say, they promise less.</p>
{table(("part of the mixture", "weight", "accepted", "accepted and right"), rows)}"""


def _weights(manifest: Manifest) -> str:
    assert manifest.mixture is not None
    return ", ".join(f"{part.weight:.0%} {escape(part.name)}" for part in manifest.mixture.parts)


def outlier_tables(manifest: Manifest) -> str:
    """Return the passage on what must be refused, by family."""
    if not (manifest.holdout_outliers and manifest.test_outliers):
        return "<p>It was not measured.</p>"
    on_test = {row.name: row for row in manifest.test_outliers}
    rows = [
        (
            escape(row.name),
            "trained on" if row.trained else "<strong>judges</strong>",
            f"{row.count:,}",
            *_shares(row),
            *(_shares(on_test[row.name]) if row.name in on_test else ("–",) * 3),
        )
        for row in manifest.holdout_outliers
    ]
    shares = ("refused", "answered, not accepted", "accepted")
    head = ("family", "", "count", *(f"{share}, holdout" for share in shares), *(f"{share}, test" for share in shares))
    return f"""<p>Drawn, and made out of holdout and test digits. The network has never seen pictures of the families
that judge: they tell what to expect of what nobody thought of. Blank sheets and several digits are whole pictures, and
judge the canonical form as well.</p>
<div class="wide">{table(head, rows)}</div>"""


def _shares(row: OutlierRow) -> tuple[str, str, str]:
    return f"{sum(row.refused.values()):.1%}", f"{row.answered:.1%}", f"{row.accepted:.1%}"
