"use strict";
(() => {
  const root = document.documentElement;
  document.getElementById("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
  const box = document.getElementById("filter");
  const rows = [...document.querySelectorAll("#hits tbody tr")];
  const texts = rows.map((row) => row.textContent.toLowerCase() + "\n" + row.dataset.host.toLowerCase());
  const checks = [...document.querySelectorAll("#levels input")];
  const shown = document.getElementById("shown");
  const show = () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    const levels = new Set(checks.filter((check) => check.checked).map((check) => check.value));
    let count = 0;
    rows.forEach((row, at) => {
      const fits = levels.has(row.dataset.level) && words.every((word) => texts[at].includes(word));
      row.hidden = !fits;
      if (fits) count += 1;
    });
    shown.value = `${count} / ${rows.length}`;
  };
  box.addEventListener("input", show);
  checks.forEach((check) => check.addEventListener("change", show));
  document.querySelectorAll("button[data-host], button[data-text]").forEach((button) =>
    button.addEventListener("click", () => {
      box.value = button.dataset.host ?? button.dataset.text;
      show();
      document.getElementById("hits").scrollIntoView();
    }),
  );
  show();
})();
