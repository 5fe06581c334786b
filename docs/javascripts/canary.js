// Canaries: <div class="canary" data-theta="1" … data-differs="sign_fused=momentum">…</div> becomes a
// form and a table of every operation, in the reference and in a port that differs in one choice.
//
//     data-theta, data-m, data-g, data-lr, data-beta1, data-beta2, data-weight-decay
//                      decimal, or bits as 0x3f800000
//     data-dtype       float32 (the default) or bfloat16: of θ, m and g
//     data-differs     the choices to pick from, keys of lionStep.CHOICES, with ";" between them
//
// What is inside the element stands there for readers without JavaScript: the sentence that the
// form begins with. Needs lion_step.js before it, and nothing else: no server, no other host.
(function () {
  "use strict";
  const { step, CHOICES, FORMATS } = globalThis.lionStep;

  // ---------------------------------------------------------------- numbers

  const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
  const SPECIAL = { inf: Infinity, infinity: Infinity, nan: NaN };

  // A number as it was written; undefined where it is none. Bits are of the formats named.
  function parsed(text, formats) {
    text = text.trim();
    if (/^0x/i.test(text)) {
      const digits = text.slice(2);
      const format = formats.find((each) => each.digits === digits.length);
      return format && /^[0-9a-f]+$/i.test(digits) ? format.value(digits) : undefined;
    }
    const word = text.toLowerCase().replace(/^[+-]/, "");
    if (Object.hasOwn(SPECIAL, word)) return text.startsWith("-") ? -SPECIAL[word] : SPECIAL[word];
    return DECIMAL.test(text) ? Number(text) : undefined;
  }

  const example = (format) => `bits such as 0x${format.bits(0.5)}`;

  const ofDtype = (text, format) => {
    const value = parsed(text, [format]);
    if (value === undefined) throw new RangeError(`a number such as 0.5, or ${example(format)}`);
    return format.round(Math.fround(value));
  };

  const scalar = (isLegal, legal) => (text) => {
    const value = parsed(text, [FORMATS.float32, FORMATS.float64]);
    if (value === undefined || !isLegal(value)) {
      throw new RangeError(`${legal}, or its ${example(FORMATS.float32)}`);
    }
    return value;
  };
  const nonNegative = scalar(
    (x) => x >= 0 && Number.isFinite(Math.fround(x)),
    "a finite number ≥ 0, finite also in float32",
  );
  const unit = scalar((x) => x >= 0 && x < 1, "a number in [0, 1)");

  const FIELDS = [
    ["theta", "θ", ofDtype],
    ["m", "m", ofDtype],
    ["g", "g", ofDtype],
    ["lr", "η", nonNegative, "lr"],
    ["beta1", "β1", unit],
    ["beta2", "β2", unit],
    ["weight_decay", "λ", nonNegative, "weight decay"],
  ];

  // The shortest decimal that is this number and no other of its format.
  function decimal(value, format) {
    if (Object.is(value, -0)) return "-0";
    if (!Number.isFinite(value)) return String(value).replace("Infinity", "inf");
    for (let digits = 1; digits < 17; digits += 1) {
      const short = Number(value.toPrecision(digits));
      if (format.round(Math.fround(short)) === value) return String(short);
    }
    return String(value);
  }

  // ---------------------------------------------------------------- words

  const NAMES = ["a", "b", "c", "u", "d", "s", "e", "θ'", "x", "y", "m'"];

  const formatOf = (bits) => Object.values(FORMATS).find((each) => each.digits === bits.length);
  const cell = (done, formula) => ({
    formula,
    bits: done.bits,
    value: done.value,
    own: done.own,
    text: done.bits.length === 16 ? String(done.value) : decimal(done.value, formatOf(done.bits)),
  });

  // Each operation in the reference and in the port: {name, reference, port, differs}.
  function compared(inputs, choice) {
    const [reference, port] = ["", choice].map((each) => step(inputs, each));
    const rows = NAMES.map((name) => {
      const [one, other] = [reference, port].map(({ operations }) => {
        const done = operations[name];
        return done && cell(done, done.formula);
      });
      return { name, reference: one, port: other };
    });
    if (inputs.dtype !== "float32" || choice.startsWith("excess")) {
      const format = FORMATS[inputs.dtype];
      for (const [name, output] of [["θ'", "param"], ["m'", "momentum"]]) {
        const [one, other] = [reference, port].map((done) =>
          cell({ value: done[output], bits: format.bits(done[output]) }, `rounded to ${inputs.dtype}`),
        );
        rows.push({ name: `${name} stored`, reference: one, port: other });
      }
    }
    for (const row of rows) {
      const alike = row.port && !row.port.own;
      row.differs = Boolean(alike) && !Object.is(row.reference.value, row.port.value);
    }
    return rows;
  }

  const ordinal = (bits) => {
    const half = 16 ** bits.length / 2;
    const pattern = parseInt(bits, 16);
    return pattern < half ? pattern : half - pattern;
  };

  function apart(row) {
    const [one, other] = [row.reference, row.port];
    if (Number.isNaN(one.value) || Number.isNaN(other.value)) return "";
    const ulps = Math.abs(ordinal(one.bits) - ordinal(other.bits));
    if (ulps === 0) return ", two zeros of opposite sign";
    return `, ${ulps.toLocaleString("en-GB")} ulp${ulps === 1 ? "" : "s"} away`;
  }

  const both = (row, label) =>
    `${row.name.split(" ")[0]} is ${row.reference.text} in the reference and ` +
    `${row.port.text} in the port${label ? ` (${label})` : ""}`;

  function signs(one, other) {
    if (Number.isNaN(one)) return "NaN reaches θ' in the reference, and is hidden in the port";
    if (Number.isNaN(other)) return "NaN reaches θ' in the port alone";
    if (one === 0 && other === 0) return "neither steps";
    if (one === 0) return "the port steps, the reference does not";
    if (other === 0) return "the reference steps, the port does not";
    return "they step in opposite directions";
  }

  // What the table shows, in one sentence or two.
  function told(rows, choice) {
    const label = CHOICES[choice];
    const find = (name) =>
      rows.find((row) => row.name === `${name} stored`) || rows.find((row) => row.name === name);
    const [c, u, param, momentum] = ["c", "u", "θ'", "m'"].map(find);
    const sentences = [];
    if (u.differs) {
      const what = c.differs ? c : u;
      sentences.push(`${both(what, label)}: ${signs(u.reference.value, u.port.value)}.`);
      sentences.push(
        param.differs ? `${both(param)}.` : "θ' has the same bits all the same.",
      );
    } else if (param.differs) {
      sentences.push(`${both(param, label)}${apart(param)}.`);
    }
    if (momentum.differs) {
      sentences.push(`${both(momentum, sentences.length ? "" : label)}${apart(momentum)}.`);
    }
    if (sentences.length === 0) {
      const first = rows.find((row) => row.differs);
      sentences.push(
        first ? `${both(first, label)}.` : `No bit differs here in the port (${label}).`,
      );
      if (first) sentences.push("θ' and m' have the same bits all the same.");
    }
    return sentences.join(" ");
  }

  // ---------------------------------------------------------------- the page

  function element(name, attributes, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  function cells(done, reference) {
    if (!done) return [element("td", { class: "canary-none", colspan: 2 }, "not formed")];
    const value = element("td", {}, done.text);
    if (reference && done.formula !== reference.formula) {
      value.append(element("span", { class: "canary-formula" }, done.formula));
    }
    return [value, element("td", {}, element("code", {}, done.bits))];
  }

  function line(row) {
    const name = element("th", { scope: "row" }, row.name);
    const formula = (row.reference || row.port).formula;
    name.append(element("span", { class: "canary-formula" }, formula));
    const port = cells(row.port, row.reference);
    if (row.differs) {
      for (const each of port) each.classList.add("canary-differs");
      port[0].prepend(element("abbr", { title: "differs from the reference" }, "≠"), " ");
    }
    return element("tr", {}, name, ...cells(row.reference), ...port);
  }

  function table(rows) {
    const scope = { scope: "colgroup", colspan: 2 };
    const head = element(
      "tr",
      {},
      element("th", { scope: "col" }, "operation"),
      element("th", scope, "reference"),
      element("th", scope, "port"),
    );
    return element(
      "table",
      { class: "canary-table" },
      element("thead", {}, head),
      element("tbody", {}, ...rows.map(line)),
    );
  }

  let count = 0;

  function canary(place) {
    count += 1;
    const id = `canary-${count}`;
    const dtype = place.dataset.dtype || "float32";
    const offered = place.dataset.differs.split(";").map((each) => each.trim());
    const inputs = { dtype };
    const form = element("form", { class: "canary-form", "aria-label": "Inputs of the step" });
    const sentence = element("p", { class: "canary-sentence", "aria-live": "polite" });
    const box = element("div", {
      class: "canary-box",
      role: "region",
      "aria-label": "Every operation of the step",
      tabindex: 0,
    });

    const select = element("select", { id: `${id}-choice` });
    for (const choice of offered) {
      select.append(element("option", { value: choice }, CHOICES[choice]));
    }

    function show() {
      const rows = compared(inputs, select.value);
      sentence.textContent = told(rows, select.value);
      box.replaceChildren(table(rows));
    }

    for (const [name, symbol, read, words] of FIELDS) {
      const attribute = name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
      const input = element("input", {
        id: `${id}-${name}`,
        "aria-describedby": `${id}-${name}-error`,
        autocomplete: "off",
        spellcheck: "false",
        value: place.dataset[attribute] || "0",
      });
      const error = element("span", { id: `${id}-${name}-error`, class: "canary-error" });
      error.setAttribute("role", "alert");
      const take = () => {
        try {
          inputs[name] = read(input.value, FORMATS[dtype]);
          error.textContent = "";
          input.removeAttribute("aria-invalid");
          return true;
        } catch (refused) {
          if (!(refused instanceof RangeError)) throw refused;
          error.textContent = `${symbol} = ${input.value.trim() || "nothing"} is not legal; legal: ${refused.message}`;
          input.setAttribute("aria-invalid", "true");
          return false;
        }
      };
      take();
      input.addEventListener("input", () => take() && show());
      const label = element("label", { for: input.id }, words ? `${symbol} (${words})` : symbol);
      form.append(element("div", { class: "canary-field" }, label, input, error));
    }
    const label = element("label", { for: select.id }, "the port");
    form.append(element("div", { class: "canary-field canary-choice" }, label, select));
    select.addEventListener("change", show);
    form.addEventListener("submit", (event) => event.preventDefault());

    show();
    const hint = element("p", { class: "canary-hint" });
    hint.textContent = `Any number may be changed: a decimal, ${example(FORMATS[dtype])}, inf or nan.`;
    place.replaceChildren(form, hint, sentence, box);
  }

  const start = () => document.querySelectorAll(".canary").forEach(canary);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
