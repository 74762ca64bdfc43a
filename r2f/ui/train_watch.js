// The browser's part of watching a training: asks the page what there is to see, shows it, draws the losses, turns the sheets.
// All it remembers is which run was chosen, in the address, so that a reload and a second tab show the same.
(() => {
  const LIVELY = 1500, QUIET = 4000, SHEET = 160;  // milliseconds between two looks, and of a sheet when they are played
  const SHOWN = {losses: ["adversarial_flower", "adversarial_rime", "teacher_flower", "teacher_rime", "cycle_flower", "cycle_rime"],  // until somebody chooses
                 quality: ["score", "gap_closed_bloom", "way_back"]};
  const find = (id) => document.getElementById(`watch${id ? "-" + id : ""}`);
  const chinese = () => document.documentElement.lang.startsWith("zh");
  const say = (words) => words[chinese() ? 1 : 0];
  const number = (value) => value.toLocaleString("en");
  const base = () => window.gradio_config?.root ?? "";
  const fresh = () => ({mark: "", marks: "", slots: {}, samples: [], plots: null, began: "", follows: true});
  let chosen = new URL(location).searchParams.get("run") ?? "", shown = fresh(), run = null, asking = false, due = 0, playing = null, width = 0;
  let arriving = false;  // at a run that was chosen elsewhere on the page

  // what is asked, and when

  const seen = () => !document.hidden && find()?.querySelector("[data-slot]")?.offsetParent;

  async function look() {
    if (asking) { due = 0; return; }
    asking = true;
    const wanted = chosen, before = shown;
    try {
      const query = new URLSearchParams({run: wanted, have: before.marks, seen: before.mark});
      const answer = await fetch(`${base()}/train/look?${query}`, {cache: "no-store"});
      if (!answer.ok) throw new Error(answer.status);
      due = performance.now() + (before.lively === false ? QUIET : LIVELY);
      if (wanted !== chosen || before !== shown) due = 0;  // somebody chose another one meanwhile
      else if (answer.status === 200) show(await answer.json(), answer.headers.get("x-mark"));
      find().classList.remove("lost");
    } catch {  // the page is being restarted, say
      due = performance.now() + QUIET;
      find()?.classList.add("lost");
    } finally { asking = false; }
  }

  function show(answer, mark) {
    const another = answer.run !== run, focused = document.activeElement?.closest("#watch-list a")?.dataset.run;
    const scrolled = find("list").querySelector("ul")?.scrollLeft ?? 0;
    if (another) { shown = fresh(); run = answer.run; playing = null; find("play").setAttribute("aria-pressed", "false"); }
    Object.assign(shown, {mark, marks: answer.marks, lively: answer.lively, began: answer.began});
    for (const slot of document.querySelectorAll("[data-slot]")) {
      const words = answer[slot.dataset.slot] ?? "", name = slot.dataset.slot;
      if (shown.slots[name] === words && slot.dataset.filled) continue;
      const atEnd = slot.scrollHeight - slot.scrollTop - slot.clientHeight < 24;
      slot.innerHTML = shown.slots[name] = words;
      slot.dataset.filled = 1;
      if (name === "log" && atEnd) slot.scrollTop = slot.scrollHeight;
    }
    const list = find("list").querySelector("ul"), current = list?.querySelector("[aria-current]");
    if (list) list.scrollLeft = scrolled;  // a list put there anew would begin at its beginning, and nothing in it has the focus
    if (another && current)
      list.scrollLeft += current.getBoundingClientRect().x - list.getBoundingClientRect().x - (list.clientWidth - current.offsetWidth) / 2;
    if (focused && !document.activeElement?.closest("#watch-list")) list?.querySelector(`[data-run="${focused}"]`)?.focus();
    find().dataset.can = answer.can;
    find().dataset.run = answer.run ?? "";
    find("log").hidden = !answer.log && !answer.board;
    if (answer.samples) sheets(answer.samples);
    if (answer.plots) { shown.plots = answer.plots; draw(); }
    if (arriving) arrive();  // before, the page may have been too short to scroll there
    arriving = false;
  }

  const arrive = () => find()?.scrollIntoView({behavior: "smooth", block: "start"});

  setInterval(() => {
    const here = seen();
    address(here);
    if (!here) return;
    if (!find().dataset.filled) {  // put there anew: by a reload, or when the room was entered for the first time
      find().dataset.filled = 1; shown = fresh(); run = null; due = 0;
      find("smoothing").value = kept("smoothing", .6);
    }
    const now = find("more").clientWidth;
    if (now !== width) { width = now; draw(); }  // a plot is drawn for the width it has
    if (performance.now() >= due) look();
  }, 200);
  document.addEventListener("visibilitychange", () => { due = 0; });

  // the run is named in the address as long as this room is open; without a name it is the newest

  function address(here) {
    if (document.hidden || !document.querySelector("#rooms [role=tab]")) return;
    const link = new URL(location), said = link.searchParams.get("run");
    const entering = !here && said !== null && !find();  // the page has not opened the room yet
    if (entering || (here ? said === chosen : said === null)) return;
    here ? link.searchParams.set("run", chosen) : link.searchParams.delete("run");
    history.replaceState(history.state, "", link);
  }

  function choose(name) {
    chosen = name; shown = fresh(); run = null; due = 0;
    find()?.removeAttribute("data-asks");
    if (find()) find().dataset.can = "";  // what is still shown is not what is chosen: until then nothing can be done
    look();
  }

  // sample sheets

  function sheets(steps) {
    const slider = find("step"), before = shown.samples, at = before[slider.value];
    shown.samples = steps;
    find("sheet").hidden = !steps.length;
    if (!steps.length) return;
    slider.max = steps.length - 1;
    slider.value = shown.follows || !steps.includes(at) ? steps.length - 1 : steps.indexOf(at);
    turn();
  }

  const address_of = (step) => `${base()}/train/sample?${new URLSearchParams({run, step, began: shown.began})}`;

  function turn() {
    const slider = find("step"), step = shown.samples[slider.value], newest = Number(slider.value) === shown.samples.length - 1;
    const words = say([`step ${number(step)}`, `第 ${number(step)} 步`]) + (newest ? say([", the newest", "，最新"]) : "");
    find("step-said").textContent = words;
    slider.setAttribute("aria-valuetext", words);
    slider.setAttribute("aria-label", say(["Sample sheets by step", "各步的样张"]));
    find("play").setAttribute("aria-label", say(["Play all sheets", "播放所有样张"]));
    for (const image of document.querySelectorAll("#watch-sheet img")) {
      const source = address_of(step);
      if (image.getAttribute("src") !== source) image.src = source;
      image.alt = say([`Sample sheet of ${words}`, `样张：${words}`]);
    }
  }

  async function play() {
    const own = playing = {}, slider = find("step");
    find("play").setAttribute("aria-pressed", "true");
    if (Number(slider.value) === shown.samples.length - 1) slider.value = 0;
    while (playing === own) {
      turn();
      if (Number(slider.value) >= shown.samples.length - 1) break;
      const began = performance.now(), next = new Image();
      next.src = address_of(shown.samples[Number(slider.value) + 1]);
      try { await next.decode(); } catch { /* one that is gone is passed over */ }
      await new Promise((done) => setTimeout(done, Math.max(0, SHEET - (performance.now() - began))));
      if (playing === own) slider.value = Number(slider.value) + 1;
    }
    if (playing === own) pause();
  }

  function pause() {
    playing = null;
    find("play")?.setAttribute("aria-pressed", "false");
    if (find("step")) shown.follows = Number(find("step").value) === shown.samples.length - 1;
  }

  // the plots: losses, and what was measured of the pair

  const kept = (key, otherwise) => JSON.parse(localStorage.getItem(`rime2flower-${key}`) ?? "null") ?? otherwise;
  const keep = (key, value) => localStorage.setItem(`rime2flower-${key}`, JSON.stringify(value));
  const wanted = (kind) => kept(kind, SHOWN[kind]);

  function smoothed(values, weight) {  // an average over the past, without its bias towards the beginning
    let sum = 0, total = 0;
    return values.map((value) => {
      if (value === null) return null;
      sum = sum * weight + value * (1 - weight); total = total * weight + (1 - weight);
      return sum / total;
    });
  }

  function ticks(low, high, count) {
    const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough)), found = [];
    const step = [1, 2, 5, 10].find((each) => each * power >= rough * .999) * power;
    for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + step * 1e-9; at += step) found.push(Number(at.toPrecision(12)));
    return found;
  }

  function decades(low, high) {
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
      for (const digit of high / low > 300 ? [1] : [1, 2, 5]) found.push(Number((digit * 10 ** power).toPrecision(6)));
    return found.filter((each) => each >= low && each <= high);
  }

  const short = (value) => {
    const size = Math.abs(value), cut = (each) => Number(each.toPrecision(6));
    return size >= 1e6 ? `${cut(value / 1e6)}M` : size >= 1e4 ? `${cut(value / 1e3)}k` : `${cut(value)}`;
  };

  const draw = () => { plot("losses"); plot("quality"); };

  function plot(kind) {
    const box = find(kind), data = shown.plots?.[kind];
    if (!box) return;
    const names = Object.keys(data?.lines ?? {}), on = wanted(kind), measured = kind === "quality";
    box.hidden = !names.length || data.step.length < (measured ? 1 : 2);
    const place = box.querySelector(".drawn"), width = place.clientWidth;
    if (box.hidden || width < 120) return;  // the room is not seen, or not laid out yet
    const height = measured ? 190 : Math.max(200, Math.min(340, width * .42));
    const left = 46, right = width - 10, top = 8, bottom = height - 24;
    const weight = measured ? 0 : Number(find("smoothing").value), logarithmic = !measured && find("logarithmic").checked;
    const usable = (value) => value !== null && (!logarithmic || value > 0);
    const lines = names.filter((name) => on.includes(name))
      .map((name) => ({name, raw: data.lines[name], soft: smoothed(data.lines[name], weight)}));
    const values = lines.flatMap((line) => line.soft).filter(usable);
    let low = Math.min(...values), high = Math.max(...values);
    if (!values.length) [low, high] = logarithmic ? [.1, 1] : [0, 1];
    if (!logarithmic) [low, high] = [Math.min(0, low), Math.max(0, high)];
    if (high <= low) high = low + (Math.abs(low) || 1);
    if (!logarithmic) high += (high - low) * .06;
    const scale = logarithmic ? Math.log : (value) => value, first = measured ? 0 : data.step[0], last = data.step.at(-1);
    const x = (step) => left + (right - left) * (step - first) / Math.max(last - first, 1);
    const y = (value) => bottom - (bottom - top) * (scale(value) - scale(low)) / (scale(high) - scale(low));
    const path = (line) => {
      let way = "", pen = "M";
      line.forEach((value, at) => {
        if (!usable(value)) { pen = "M"; return; }
        way += `${pen}${x(data.step[at]).toFixed(1)} ${y(value).toFixed(1)}`;
        pen = "L";
      });
      return way;
    };
    const rows = (logarithmic ? decades(low, high) : ticks(low, high, measured ? 3 : 5)).map((value) =>
      `<path class="grid" d="M${left} ${y(value).toFixed(1)}H${right}"/>` +
      `<text x="${left - 7}" y="${(y(value) + 4).toFixed(1)}" text-anchor="end">${short(value)}</text>`);
    const columns = ticks(first, Math.max(last, first + 1), width < 500 ? 3 : 6).filter(Number.isInteger).map((step) =>
      `<text x="${x(step).toFixed(1)}" y="${height - 6}" text-anchor="${x(step) > right - 16 ? "end" : "middle"}">${short(step)}</text>`);
    const drawn = lines.map((line) => {
      const colour = `style="stroke:var(--${line.name},currentColor)"`;
      const dots = measured ? line.soft.map((value, at) => value === null ? "" :
        `<circle ${colour} cx="${x(data.step[at]).toFixed(1)}" cy="${y(value).toFixed(1)}" r="3.5"/>`).join("") : "";
      return (weight > .01 ? `<path class="raw" ${colour} d="${path(line.raw)}"/>` : "") +
        `<path class="line" data-line="${line.name}" ${colour} d="${path(line.soft)}"/>${dots}`;
    });
    const words = measured ? ["Quality by step", "各步的质量"] : ["Losses by step", "各步的损失"];
    place.innerHTML = `<svg viewBox="0 0 ${width} ${height}" height="${height}" role="img" aria-label="${say(words)}">` +
      `<clipPath id="clip-${kind}"><rect x="${left - 5}" y="${top - 5}" width="${right - left + 10}" height="${bottom - top + 10}"/></clipPath>` +
      `${rows.join("")}${columns.join("")}<g clip-path="url(#clip-${kind})">${drawn.join("")}</g><path class="hair" d=""/></svg>`;
    const picture = place.querySelector("svg"), hair = place.querySelector(".hair");
    picture.onpointermove = (event) => {
      const step = first + (event.clientX - picture.getBoundingClientRect().x - left) / (right - left) * (last - first);
      const nearest = data.step.reduce((best, each, at) => Math.abs(each - step) < Math.abs(data.step[best] - step) ? at : best, 0);
      hair.setAttribute("d", `M${x(data.step[nearest]).toFixed(1)} ${top}V${bottom}`);
      legend(box, data, lines, nearest);
    };
    picture.onpointerleave = () => { hair.setAttribute("d", ""); legend(box, data, lines); };
    const series = box.querySelector(".series"), drawnFor = names.join() + chinese();
    if (series.dataset.drawnFor !== drawnFor) {
      series.dataset.drawnFor = drawnFor;
      series.setAttribute("aria-label", say(["Lines that are shown", "显示哪些线"]));
      series.innerHTML = names.map((name) => `<button type="button" data-line="${name}" data-kind="${kind}">` +
        `<i style="background:var(--${name},currentColor)"></i><span></span><output></output></button>`).join("");
      series.querySelectorAll("span").forEach((span, at) => { span.textContent = say(data.words[names[at]]); });
    }
    for (const button of series.children) button.setAttribute("aria-pressed", on.includes(button.dataset.line));
    legend(box, data, lines);
  }

  function legend(box, data, lines, at) {  // what the lines say at a step, by default the last
    const series = box.querySelector(".series");
    for (const button of series.children) {
      const value = lines.find((line) => line.name === button.dataset.line)?.soft[at ?? data.step.length - 1];
      button.querySelector("output").textContent = value === undefined || value === null ? "" : value.toPrecision(3);
    }
    series.dataset.step = at === undefined ? "" : say([`step ${number(data.step[at])}`, `第 ${number(data.step[at])} 步`]);
  }

  // hands

  document.addEventListener("click", (event) => {
    const link = event.target.closest("#watch-list a"), line = event.target.closest(".series button");
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0) {
      event.preventDefault();
      choose(link.dataset.run);
    } else if (event.target.closest("#watch-play")) {
      playing ? pause() : play();
    } else if (line) {
      const {line: name, kind} = line.dataset, on = wanted(kind);
      keep(kind, on.includes(name) ? on.filter((each) => each !== name) : [...on, name]);
      plot(kind);
    }
  });
  document.addEventListener("input", (event) => {
    if (event.target.id === "watch-step") { playing = null; turn(); pause(); }
    if (event.target.id === "watch-smoothing") keep("smoothing", Number(event.target.value));
    if (["watch-smoothing", "watch-logarithmic"].includes(event.target.id)) draw();
  });
  // for the buttons, which are Gradio's
  window.r2fWatch = {
    run: () => run ?? "",
    look: () => { due = 0; look(); },
    choose(name, newest) {
      if (!name && !newest) return;
      choose(name.split("?")[0]);
      arriving = true; arrive();
    },
    form() {  // the form for a new training has been filled
      const fold = document.querySelector("#train-new .label-wrap");
      if (fold && !fold.classList.contains("open")) fold.click();
      document.getElementById("train-new")?.scrollIntoView({behavior: "smooth", block: "start"});
    },
    asks(what) {  // "delete", or "" for no
      what ? find().dataset.asks = run : find().removeAttribute("data-asks");
      if (what) find("sure").dataset.run = run;  // the style sheet puts it on the button
      find(what ? "keep" : "delete")?.focus();
    },
    asked: () => find().dataset.asks ?? "",
  };
})();
