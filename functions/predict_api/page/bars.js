// The bars: how likely each of the ten digits is.

const bars = Array.from({ length: 10 }, (_, digit) => {
  const row = document.createElement("li");
  const [name, bar, share] = ["name", "bar", "share"].map((kind) => {
    const part = document.createElement("span");
    part.className = kind;
    row.append(part);
    return part;
  });
  name.textContent = digit;
  bar.append(document.createElement("span"));
  share.textContent = "–";
  document.getElementById("bars").append(row);
  return row;
});

export function showBars({ pred, probabilities }) {
  bars.forEach((bar, digit) => fill(bar, probabilities[digit], digit === pred));
}

export function clearBars() {
  for (const bar of bars) fill(bar, null, false);
}

function fill(bar, share, most) {
  bar.classList.toggle("most", most);
  bar.querySelector(".bar span").style.width = `${(share ?? 0) * 100}%`;
  bar.querySelector(".share").textContent = share === null ? "–" : percent(share, 1);
}

// Rounded down: a confidence of 99.999 % is not one of 100 %.
export function percent(share, digits) {
  const factor = 10 ** digits;
  return `${(Math.floor(share * 100 * factor) / factor).toFixed(digits)} %`;
}
