// The report's own buttons: light and dark, and saving a figure or its table.
(() => {
  "use strict";
  const figures = window.interpFigures;
  const root = document.documentElement;
  const systemDark = matchMedia("(prefers-color-scheme: dark)");
  const theme = document.getElementById("theme");

  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches);
  const nameTheme = () => (theme.textContent = isDark() ? "Light" : "Dark");
  theme.hidden = false;
  theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    nameTheme();
    figures.retheme();
  });
  systemDark.addEventListener("change", nameTheme);
  nameTheme();

  async function saveCsv(card) {
    const { name, deflated } = JSON.parse(card.querySelector(".csv-data").textContent);
    figures.save(new Blob([await figures.inflate(deflated)], { type: "text/csv;charset=utf-8" }), name);
  }

  async function saveImage(card, format) {
    const handle = await figures.draw(card.querySelector(".interp-figure"));
    handle.exportAs(format);
  }

  for (const tools of document.querySelectorAll(".card-tools")) {
    tools.hidden = false;
    tools.addEventListener("click", (event) => {
      const format = event.target.dataset.save;
      const card = tools.closest(".card");
      if (format === "csv") saveCsv(card);
      else if (format) saveImage(card, format);
    });
  }
})();
