'use strict';
(() => {
  const root = document.documentElement;
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];

  // Theme: the system's, until someone chooses.
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const themeButton = document.getElementById('theme');
  const remembered = (() => {
    try { return localStorage.getItem('metta-checks-theme'); } catch { return null; }
  })();
  const isDark = () => (root.dataset.theme ? root.dataset.theme === 'dark' : dark.matches);
  const nameTheme = () => { themeButton.textContent = isDark() ? 'Light theme' : 'Dark theme'; };
  if (remembered === 'dark' || remembered === 'light') root.dataset.theme = remembered;
  nameTheme();
  dark.addEventListener('change', nameTheme);
  themeButton.addEventListener('click', () => {
    root.dataset.theme = isDark() ? 'light' : 'dark';
    try { localStorage.setItem('metta-checks-theme', root.dataset.theme); } catch { /* a file may not store */ }
    nameTheme();
  });

  // Numbers, written as scale.py writes them.
  const LARGE = [[1e12, 1e12, 'T'], [1e9, 1e9, 'G'], [1e6, 1e6, 'M'], [1e4, 1e3, 'k']];
  const digits = (value) => {
    if (value === 0) return '0';
    const decimals = Math.min(8, Math.max(0, 2 - Math.floor(Math.log10(value))));
    return value.toLocaleString('en-US', { maximumFractionDigits: decimals });
  };
  const write = (value, [own, ...steps]) => {
    const step = value === 0 ? own : steps.find(([least]) => Math.abs(value) >= least) ?? own;
    const [, factor, prefix, suffix, short, thing] = step;
    const scaled = value / factor;
    const size = short ? LARGE.find(([least]) => Math.abs(scaled) >= least) : undefined;
    const text = digits(Math.abs(scaled) / (size ? size[1] : 1));
    const sign = scaled < 0 && /[1-9]/.test(text) ? '-' : '';
    const unit = thing && value === 1 ? thing : suffix;
    const number = sign + prefix + text + (size ? size[2] : '');
    return unit && !'%¢/'.includes(unit[0]) ? number + '\u202f' + unit : number + unit;
  };
  const moment = new Intl.DateTimeFormat('en-GB', {
    weekday: 'short', day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', timeZone: 'UTC',
  });

  // Crosshair and tooltip.
  const tip = document.getElementById('tip');
  if (!tip) return;
  const charts = new WeakMap();
  const chartOf = (plot) => {
    if (!charts.has(plot)) charts.set(plot, JSON.parse(plot.dataset.chart));
    return charts.get(plot);
  };
  const spacing = (data) => {
    const steps = data.l.map((line) => line.t[1]).filter((step) => step > 0);
    return steps.length ? Math.min(...steps) : (data.e - data.s) / 100;
  };
  // The value of a line at a moment: its nearest point, if that is not further than its step.
  const valueAt = (line, time) => {
    const [start, step] = line.t;
    if (!step) return Math.abs(start - time) <= 1 ? line.v[0] : null;
    const value = line.v[Math.round((time - start) / step)];
    return value === undefined ? null : value;
  };
  // Snaps to the grid of the line with the densest points.
  const snap = (data, time) => {
    const step = spacing(data);
    const line = data.l.find((one) => one.t[1] === step);
    const start = line ? line.t[0] : data.s;
    const snapped = start + Math.round((time - start) / step) * step;
    return Math.min(data.e, Math.max(data.s, snapped));
  };
  // The plot that the tooltip is about, and where it stood.
  let about = null;
  const hide = () => {
    about = null;
    tip.hidden = true;
    all('.cross').forEach((cross) => { cross.hidden = true; });
  };
  const row = (color, name, text, absent) => {
    const line = document.createElement('div');
    const spot = document.createElement('i');
    spot.className = 'swatch';
    spot.style.background = color;
    const label = document.createElement('span');
    label.className = 'name';
    label.textContent = name;
    const value = document.createElement('span');
    value.className = absent ? 'value absent' : 'value';
    value.textContent = text;
    line.append(spot, label, value);
    return line;
  };
  const show = (plot, time, y) => {
    const data = chartOf(plot);
    const at = snap(data, time);
    plot.dataset.at = at;
    const head = document.createElement('time');
    head.textContent = moment.format(at * 1000) + ' UTC';
    const rows = data.l.map((line) => ({ line, value: valueAt(line, at) }));
    rows.sort((a, b) => (b.value ?? -Infinity) - (a.value ?? -Infinity));
    const shown = rows.slice(0, 16).map(({ line, value }) => row(
      line.c, line.n || 'value', value === null ? 'no data' : write(value, data.u[line.u]), value === null,
    ));
    tip.replaceChildren(head, ...shown);
    if (rows.length > 16) tip.append(`and ${rows.length - 16} more`);
    tip.hidden = false;
    // The same moment in every chart of the page.
    all('.plot').forEach((other) => {
      const window = chartOf(other);
      const place = (at - window.s) / (window.e - window.s);
      const cross = other.querySelector('.cross');
      cross.hidden = place < 0 || place > 1;
      cross.style.left = `${place * 100}%`;
    });
    const box = plot.getBoundingClientRect();
    about = { plot, top: box.top };
    const x = box.left + ((at - data.s) / (data.e - data.s)) * box.width;
    const own = tip.getBoundingClientRect();
    const left = x + 14 + own.width > innerWidth - 8 ? x - 14 - own.width : x + 14;
    tip.style.left = `${Math.max(8, Math.min(left, innerWidth - own.width - 8))}px`;
    tip.style.top = `${Math.max(8, Math.min(y - own.height / 2, innerHeight - own.height - 8))}px`;
  };
  const follow = (event) => {
    const plot = event.target.closest?.('.plot');
    if (!plot) { hide(); return; }
    const box = plot.getBoundingClientRect();
    const data = chartOf(plot);
    show(plot, data.s + ((event.clientX - box.left) / box.width) * (data.e - data.s), event.clientY);
  };
  document.addEventListener('pointermove', follow);
  document.addEventListener('pointerdown', follow);
  document.addEventListener('pointerleave', hide);
  // The event comes late: a plot that gets the focus is scrolled into view, and may show its tooltip before.
  const leave = () => {
    if (about && about.plot.getBoundingClientRect().top !== about.top) hide();
  };
  document.addEventListener('scroll', leave, { passive: true });
  document.addEventListener('focusout', hide);
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') { hide(); return; }
    const plot = event.target.closest?.('.plot');
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -24, PageDown: 24 }[event.key];
    if (!plot || (!steps && event.key !== 'Home' && event.key !== 'End')) return;
    event.preventDefault();
    const data = chartOf(plot);
    const from = plot.dataset.at === undefined ? data.e : Number(plot.dataset.at);
    const time = event.key === 'Home' ? data.s : event.key === 'End' ? data.e : from + steps * spacing(data);
    const box = plot.getBoundingClientRect();
    show(plot, Math.min(data.e, Math.max(data.s, time)), box.top + box.height / 2);
  });
  document.addEventListener('drawn', hide);
})();
