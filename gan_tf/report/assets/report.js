"use strict";
// Makes a page of gan_tf interactive: a slider over sample grids, charts that zoom together, commands that can be copied.
// Without this script the page shows all grids one below the other, and a table in place of the charts.

(() => {
  const format = new Intl.NumberFormat("en-US");
  const charts = new Charts(document.getElementById("charts"));
  for (const gallery of document.querySelectorAll(".gallery")) {
    startGallery(gallery, (step) => charts.mark(step));
  }
  for (const button of document.querySelectorAll(".copy")) {
    startCopying(button);
  }

  // Shows one grid of each column: the last one at or before the step that the slider has chosen.
  function startGallery(gallery, onStep) {
    const player = gallery.querySelector(".player");
    const slider = player.querySelector("input");
    const output = player.querySelector("output");
    const play = player.querySelector(".play");
    const columns = [...gallery.querySelectorAll(".frames")].map((frames) => ({
      at: frames.parentElement.querySelector(".at"),
      images: [...frames.children],
    }));
    const all = columns.flatMap((column) => column.images.map((image) => Number(image.dataset.step)));
    const steps = [...new Set(all)].sort((a, b) => a - b);
    let timer = 0;

    function show() {
      const step = steps[Number(slider.value)];
      for (const { at, images } of columns) {
        const earlier = images.filter((image) => Number(image.dataset.step) <= step);
        const chosen = earlier.length ? earlier[earlier.length - 1] : images[0];
        for (const image of images) {
          image.hidden = image !== chosen;
        }
        if (at) {
          at.textContent = `step ${format.format(Number(chosen.dataset.step))}`;
        }
      }
      output.textContent = `step ${format.format(step)}`;
      slider.setAttribute("aria-valuetext", output.textContent);
      onStep(step);
    }

    function stop() {
      clearInterval(timer);
      timer = 0;
      play.textContent = "Play";
      play.setAttribute("aria-pressed", "false");
    }

    function next() {
      if (Number(slider.value) === steps.length - 1) {
        stop();
        return;
      }
      slider.value = String(Number(slider.value) + 1);
      show();
    }

    function toggle() {
      if (timer) {
        stop();
        return;
      }
      if (Number(slider.value) === steps.length - 1) {
        slider.value = "0";
        show();
      }
      play.textContent = "Pause";
      play.setAttribute("aria-pressed", "true");
      timer = setInterval(next, 400);
    }

    slider.max = String(steps.length - 1);
    slider.value = slider.max;
    slider.addEventListener("input", () => {
      stop();
      show();
    });
    play.addEventListener("click", toggle);
    player.hidden = steps.length < 2;
    show();
  }

  function startCopying(button) {
    if (!navigator.clipboard) {
      return;
    }
    const code = button.parentElement.querySelector("code");
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(code); // the browser does not allow it: the reader copies what is selected
        button.textContent = "Selected";
      }
      setTimeout(() => (button.textContent = "Copy"), 1500);
    });
  }
})();

// The charts of a page. They share the range of steps that they show.
function Charts(source) {
  const panels = source ? JSON.parse(source.textContent) : [];
  const holders = [...document.querySelectorAll(".plot")];
  const ranges = panels.flatMap((panel) => panel.lines.map((line) => line.points[0]));
  const first = Math.min(...ranges.map((steps) => steps[0]));
  const last = Math.max(...ranges.map((steps) => steps[steps.length - 1]));
  const full = first === last ? [first - 1, last + 1] : [first, last];
  const smallest = Math.max(1, (full[1] - full[0]) / 1000);
  let range = full;
  let marked = null;
  const points = document.querySelector(".raw");
  let showsPoints = points !== null && points.checked;
  let plots = [];

  this.mark = (step) => {
    marked = step;
    plots.forEach((plot) => plot.redraw(false));
  };

  function color(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function zoomTo(low, high) {
    const width = Math.min(Math.max(high - low, smallest), full[1] - full[0]);
    const start = Math.min(Math.max((low + high - width) / 2, full[0]), full[1] - width);
    range = [start, start + width];
    plots.forEach((plot) => plot.setScale("x", { min: range[0], max: range[1] }));
  }

  const actions = {
    in: (low, high) => [low + (high - low) / 4, high - (high - low) / 4],
    out: (low, high) => [low - (high - low) / 2, high + (high - low) / 2],
    left: (low, high) => [low - (high - low) / 4, high - (high - low) / 4],
    right: (low, high) => [low + (high - low) / 4, high + (high - low) / 4],
    all: () => full,
  };

  // Returns uPlot's lines and data of a panel: behind each running mean the points that it is of.
  function linesOf(panel) {
    const series = [{ label: "step", value: (_, step) => (step === null ? "–" : Math.round(step).toLocaleString("en-US")) }];
    const tables = [];
    panel.lines.forEach((line) => {
      const stroke = color(`--line-${line.color % 8}`);
      if (line.mean) {
        series.push({ label: `${line.name} (points)`, class: "behind", stroke: `${stroke}59`, width: 1, points: { show: false }, spanGaps: true, show: showsPoints });
        tables.push(line.points);
      }
      const drawn = line.mean || line.points;
      series.push({ label: line.name, stroke, width: 2, points: { show: drawn[0].length <= 40, size: 5, fill: stroke }, spanGaps: true, value: (_, value) => describe(value) });
      tables.push(drawn);
    });
    return { series, data: uPlot.join(tables) };
  }

  function describe(value) {
    return value === null || value === undefined ? "–" : Number(value.toPrecision(4)).toString();
  }

  function axis(more) {
    return { stroke: color("--soft"), grid: { stroke: color("--rule"), width: 1 }, ticks: { stroke: color("--rule"), width: 1 }, font: "12px system-ui, sans-serif", ...more };
  }

  function drawMark(plot) {
    if (marked === null || marked < plot.scales.x.min || marked > plot.scales.x.max) {
      return;
    }
    const x = Math.round(plot.valToPos(marked, "x", true));
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.strokeStyle = color("--soft");
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.restore();
  }

  function draw(panel, holder) {
    const { series, data } = linesOf(panel);
    const options = {
      width: holder.clientWidth,
      height: 220,
      series,
      scales: { x: { time: false, min: range[0], max: range[1] } },
      axes: [
        axis({ space: 70, values: (_, steps) => steps.map((step) => step.toLocaleString("en-US")) }),
        axis({ size: 58, values: (_, values) => values.map(describe) }),
      ],
      cursor: { sync: { key: "steps" }, drag: { x: true, y: false, setScale: false }, bind: { dblclick: () => () => zoomTo(...full) } },
      hooks: {
        draw: [drawMark],
        setSelect: [
          (plot) => {
            if (plot.select.width > 0) {
              zoomTo(plot.posToVal(plot.select.left, "x"), plot.posToVal(plot.select.left + plot.select.width, "x"));
              plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
            }
          },
        ],
      },
    };
    holder.replaceChildren();
    return new uPlot(options, data, holder);
  }

  function drawAll() {
    plots.forEach((plot) => plot.destroy());
    plots = panels.map((panel, number) => draw(panel, holders[number]));
  }

  if (!panels.length) {
    return;
  }
  drawAll();
  document.querySelectorAll(".zoom, .hint").forEach((element) => (element.hidden = false));
  document.querySelectorAll("[data-zoom]").forEach((button) => {
    button.addEventListener("click", () => zoomTo(...actions[button.dataset.zoom](...range)));
  });
  if (panels.some((panel) => panel.lines.some((line) => line.mean))) {
    points.addEventListener("change", () => {
      showsPoints = points.checked;
      drawAll();
    });
  } else {
    points.parentElement.hidden = true;
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width) {
      width = innerWidth;
      drawAll();
    }
  });
}
