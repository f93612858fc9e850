(() => {
  // Template variables: the drawings of other selections are on the page; a selection puts its drawings in place.
  const source = document.getElementById('choices');
  if (!source) return;
  const { key, variables, views, dependences, widgets } = JSON.parse(source.textContent);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const view = document.getElementById('view');
  const controls = all('details[data-variable]');
  const start = views[0].map((chosen) => new Set(chosen));
  let selection = start;

  const valuesOf = (index) => {
    const { values } = variables[index];
    return selection[index].size ? values.filter((value, place) => selection[index].has(place)) : ['*'];
  };

  // As in dependence.py: a drawing belongs to the conditions that hold.
  const holds = (condition, truths) => {
    if (typeof condition === 'number') return truths[condition];
    const [kind, ...inner] = condition;
    if (kind === 'not') return !holds(inner[0], truths);
    return kind === 'all' ? inner.every((one) => holds(one, truths)) : inner.some((one) => holds(one, truths));
  };
  const signature = ({ leaves, conditions }) => {
    const truths = leaves.map(([variable, values, everything]) => {
      const chosen = selection[variable];
      return chosen.size ? values.some((value) => chosen.has(value)) : everything;
    });
    return conditions.map((condition) => (holds(condition, truths) ? '1' : '0')).join('');
  };

  const bodies = new Map();
  const first = new Map();
  for (const widget of Object.keys(widgets)) {
    const body = document.querySelector(`[data-widget="${widget}"] > .body`);
    bodies.set(widget, body);
    first.set(widget, [...body.childNodes]);
  }
  // Drawings beyond the first ones, by widget: deflated JSON in base64.
  const unpacked = (async () => {
    const bytes = Uint8Array.from(atob(document.getElementById('drawings').textContent), (one) => one.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
    return JSON.parse(await new Response(stream).text());
  })();
  const parsed = (markup) => {
    const template = document.createElement('template');
    template.innerHTML = markup;
    return template.content.childNodes;
  };

  // In a shell, quotes keep a value together.
  const quoted = (text) => (/^[\w.:/@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
  const command = () => {
    // Other variables have all values in the dashboard, too.
    const needed = variables.filter((variable, index) => selection[index].size || start[index].size);
    const chosen = needed.flatMap((one) => valuesOf(variables.indexOf(one)).map((value) => `${one.name}=${value}`));
    return ['metta-checks assets preview', quoted(key), ...chosen.map((one) => `--var ${quoted(one)}`)].join(' ');
  };
  const missing = () => {
    const box = document.createElement('div');
    box.className = 'problem';
    box.setAttribute('role', 'note');
    const head = document.createElement('strong');
    head.textContent = 'Not on this page';
    const text = document.createElement('span');
    text.textContent = `All combinations of values would make it too large. To draw this one: ${command()}`;
    box.append(head, text);
    return box;
  };

  const redraw = async () => {
    const others = await unpacked;
    const signatures = dependences.map(signature);
    for (const [widget, [dependence, places]] of Object.entries(widgets)) {
      const place = places[signatures[dependence]];
      const body = bodies.get(widget);
      if (place !== undefined && body.dataset.drawn === String(place)) continue;
      body.dataset.drawn = String(place);
      if (place === undefined) body.replaceChildren(missing());
      else body.replaceChildren(...(place ? parsed(others[widget][place - 1]) : first.get(widget)));
    }
    all('[data-text]').forEach((text) => {
      const prefix = text.dataset.key ?? '';
      text.textContent = valuesOf(Number(text.dataset.text)).map((value) => prefix + value).join(', ');
    });
    document.documentElement.dataset.drawn = 'yes';
    document.dispatchEvent(new Event('drawn'));
  };

  const same = (chosen, indices) => chosen.size === indices.length && indices.every((index) => chosen.has(index));
  const show = () => {
    for (const control of controls) {
      const index = Number(control.dataset.variable);
      const output = control.querySelector('.chosen');
      output.textContent = valuesOf(index).join(', ');
      output.title = output.textContent;
      all('input', control).forEach((box) => { box.checked = selection[index].has(Number(box.value)); });
    }
    const named = views.findIndex((one) => one.every((indices, index) => same(selection[index], indices)));
    view.value = named < 0 ? 'own' : String(named);
  };
  const choose = (wanted) => {
    selection = wanted;
    show();
    redraw();
  };
  const chooseFor = (index, chosen) => choose(selection.map((one, place) => (place === index ? chosen : one)));

  view.addEventListener('change', () => choose(views[Number(view.value)].map((chosen) => new Set(chosen))));
  for (const control of controls) {
    const index = Number(control.dataset.variable);
    control.addEventListener('change', () => {
      chooseFor(index, new Set(all('input:checked', control).map((box) => Number(box.value))));
    });
    control.querySelector('button').addEventListener('click', () => chooseFor(index, new Set()));
    control.addEventListener('toggle', () => {
      if (control.open) controls.forEach((other) => { other.open = other === control; });
    });
  }
  document.addEventListener('pointerdown', (event) => {
    controls.forEach((control) => { if (!control.contains(event.target)) control.open = false; });
  });
  document.addEventListener('keydown', (event) => {
    const open = controls.find((control) => control.open);
    if (event.key !== 'Escape' || !open) return;
    open.open = false;
    open.querySelector('summary').focus();
  });
  // A browser that goes back restores the boxes, not the drawings.
  addEventListener('pageshow', () => choose(start));
})();
