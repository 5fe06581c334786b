// One step of Lion on one element, operation by operation: the reference (SPEC C5) and ports that
// differ from it in one choice (SPEC C16 to C22). tests/site holds every bit against lion_ref.
//
// A JavaScript number is a double. Rounded by Math.fround, a single operation of two float32
// numbers has the bits of that operation in float32.
(function () {
  "use strict";

  const view = new DataView(new ArrayBuffer(8));
  const fround = Math.fround;
  const SMALLEST_NORMAL = 2 ** -126;

  // Exact results below these are tiny (SPEC C18): after rounding with unbounded exponent, or before.
  const TINY_BELOW = {
    flush: SMALLEST_NORMAL * (1 - 2 ** -25),
    "flush-before-rounding": SMALLEST_NORMAL,
  };

  const DEFAULTS = {
    sign_interpolation: "weighted",
    sign_fused: "none",
    momentum_interpolation: "weighted",
    momentum_fused: "none",
    decay: "sum",
    decay_scalar: "wide",
    decay_order: "decay-first",
    decay_fused: "False",
    step_fused: "False",
    decay_skipped_at_zero: "False",
    sign_complement: "wide",
    momentum_complement: "wide",
    precision: "compute",
    momentum_precision: "compute",
    subnormals: "keep",
    zero_sign: "positive",
    nan_sign: "nan",
  };

  // What may be chosen, in the words of lion_ref.Semantics.describe().
  const CHOICES = {
    "sign_fused=momentum": "c = fma(β1, m, (1-β1)·g)",
    "sign_fused=gradient": "c = fma(1-β1, g, β1·m)",
    "momentum_fused=momentum": "m' = fma(β2, m, (1-β2)·g)",
    "momentum_fused=gradient": "m' = fma(1-β2, g, β2·m)",
    "sign_interpolation=lerp-from-momentum": "c = m + (1-β1)·(g-m)",
    "sign_interpolation=lerp-from-momentum, sign_fused=difference": "c = fma(1-β1, g-m, m)",
    "sign_interpolation=lerp-from-gradient": "c = g + β1·(m-g)",
    "momentum_interpolation=lerp-from-momentum": "m' = m + (1-β2)·(g-m)",
    "momentum_interpolation=lerp-from-momentum, momentum_fused=difference": "m' = fma(1-β2, g-m, m)",
    "momentum_interpolation=lerp-from-gradient": "m' = g + β2·(m-g)",
    "decay_fused=True": "θ' = θ - η·(u + λ·θ), fused: the product with θ",
    "step_fused=True": "θ' = θ - η·(u + λ·θ), fused: η·(…)",
    "decay=factor": "θ' = θ·(1-ηλ) - η·u, 1-ηλ formed in binary64",
    "decay=factor, decay_scalar=compute": "θ' = θ·(1-ηλ) - η·u, 1-ηλ formed in the compute dtype",
    "decay=factor, decay_fused=True":
      "θ' = θ·(1-ηλ) - η·u, 1-ηλ formed in binary64, fused: the product with θ",
    "decay=product": "θ' = (θ - (ηλ)·θ) - η·u, ηλ formed in binary64",
    "decay=product, decay_scalar=compute": "θ' = (θ - (ηλ)·θ) - η·u, ηλ formed in the compute dtype",
    "decay=product, decay_scalar=left-to-right": "θ' = (θ - η·(λ·θ)) - η·u",
    "decay=product, decay_order=step-first": "θ' = (θ - η·u) - (ηλ)·θ, ηλ formed in binary64",
    "decay=product, decay_fused=True":
      "θ' = (θ - (ηλ)·θ) - η·u, ηλ formed in binary64, fused: the product with θ",
    "decay_skipped_at_zero=True": "the decay is skipped at λ = 0",
    "sign_complement=compute": "1-β1 formed in the precision of the steps",
    "momentum_complement=compute": "1-β2 formed in the precision of the steps",
    "precision=storage": "every operation of c and θ' rounded to the storage dtype",
    "momentum_precision=storage": "every operation of m' rounded to the storage dtype",
    "subnormals=flush": "subnormals flushed",
    "subnormals=flush-before-rounding": "subnormals flushed, tininess before rounding",
    "zero_sign=kept": "sign(-0) = -0",
    "nan_sign=zero": "sign(NaN) = 0",
    // No row of SPEC C16: a register wider than the numbers.
    "excess=float64": "every operation in float64, θ' and m' rounded once",
  };

  // ---------------------------------------------------------------- numbers and their bits

  const float32 = {
    name: "float32",
    digits: 8,
    round: fround,
    bits(value) {
      if (Number.isNaN(value)) return "7fc00000"; // any NaN equals any NaN (SPEC C11)
      view.setFloat32(0, value);
      return view.getUint32(0).toString(16).padStart(8, "0");
    },
    value(bits) {
      view.setUint32(0, parseInt(bits, 16));
      return view.getFloat32(0);
    },
  };

  // By way of float32, in which every operation is that rounds to bfloat16 (SPEC C9, C21).
  const bfloat16 = {
    name: "bfloat16",
    digits: 4,
    round(value) {
      if (Number.isNaN(value)) return value;
      view.setFloat32(0, value);
      const pattern = view.getUint32(0);
      const half = 0x7fff + ((pattern >>> 16) & 1); // to nearest, ties to even
      view.setUint32(0, ((pattern + half) & 0xffff0000) >>> 0);
      return view.getFloat32(0);
    },
    bits: (value) => float32.bits(value).slice(0, 4),
    value: (bits) => float32.value(bits + "0000"),
  };

  const float64 = {
    name: "float64",
    digits: 16,
    round: (value) => value,
    bits(value) {
      if (Number.isNaN(value)) return "7ff8000000000000";
      view.setFloat64(0, value);
      return view.getBigUint64(0).toString(16).padStart(16, "0");
    },
    value(bits) {
      view.setBigUint64(0, BigInt("0x" + bits));
      return view.getFloat64(0);
    },
  };

  const FORMATS = { float32, bfloat16, float64 };

  // ---------------------------------------------------------------- operations

  const zeroLike = (value) => (value < 0 || Object.is(value, -0) ? -0 : 0);

  // a + b and the rounding error of that sum, which is a double too (Knuth's TwoSum).
  function twoSum(a, b) {
    const sum = a + b;
    const t = sum - a;
    return [sum, a - (sum - t) + (b - t)];
  }

  // a + b in double, rounded to odd: an inexact sum gets an odd last bit, so that rounding it once
  // more, to float32, gives what rounding the exact sum once would have given (Boldo, Melquiond).
  function sumToOdd(a, b) {
    const [sum, error] = twoSum(a, b);
    if (!Number.isFinite(sum) || error === 0) return sum;
    view.setFloat64(0, sum);
    const pattern = view.getBigInt64(0);
    if (pattern & 1n) return sum;
    view.setBigInt64(0, pattern + (error > 0 === sum > 0 ? 1n : -1n));
    return view.getFloat64(0);
  }

  // ⊗, ⊕, ⊖ and fma in float32, as a port flushes subnormals and holds results. Every operand is an
  // input, a scalar or a result, so it was flushed when it came to be.
  function inFloat32(semantics, held) {
    const limit = TINY_BELOW[semantics.subnormals]; // undefined where subnormals are kept
    const flushed = limit === undefined
      ? (x) => x
      : (x) => (Math.abs(x) < SMALLEST_NORMAL ? zeroLike(x) : x);
    const product = (a, b) => {
      const exact = a * b; // 48 bits, which a double holds
      return Math.abs(exact) < limit ? zeroLike(exact) : exact;
    };
    // A sum that is subnormal is exact, so both kinds of tininess are one.
    const sum = (a, b) => flushed(a + b);
    const fused = (a, b, c) => {
      const [nearest, error] = twoSum(a * b, c);
      const beneath = Math.abs(nearest) === limit && error !== 0 && error > 0 !== nearest > 0;
      const result = sumToOdd(a * b, c);
      return Math.abs(nearest) < limit || beneath ? zeroLike(result) : result;
    };
    return {
      held,
      load: flushed,
      // Scalars stay in float32, in whatever arrays are held.
      scalar: (x) => (Math.abs(x) < limit ? zeroLike(x) : fround(x)),
      scalarProduct: (a, b) => fround(product(a, b)),
      complement: (x) => fround(sum(1, -x)),
      multiply: (a, b) => held.round(product(a, b)),
      add: (a, b) => held.round(sum(a, b)),
      subtract: (a, b) => held.round(sum(a, -b)),
      fma: (a, b, c) => held.round(fused(a, b, c)),
    };
  }

  const inFloat64 = {
    held: float64,
    load: (x) => x,
    scalar: (x) => x,
    multiply: (a, b) => a * b,
    add: (a, b) => a + b,
    subtract: (a, b) => a - b,
  };

  function sign(semantics, c) {
    if (Number.isNaN(c)) return semantics.nan_sign === "zero" ? 0 : NaN;
    if (c === 0) return semantics.zero_sign === "kept" ? c : 0;
    return c > 0 ? 1 : -1;
  }

  // ---------------------------------------------------------------- the update

  // c, or m': each result under its name in SPEC C5. `own` marks one that C5 has no such result for.
  function interpolate(ops, semantics, part, beta, m, g, note) {
    const [first, second, sum, b] = part === "sign" ? ["a", "b", "c", "β1"] : ["x", "y", "m'", "β2"];
    const form = semantics[`${part}_interpolation`];
    const fused = semantics[`${part}_fused`];
    const scalar = ops.scalar(beta);
    const complement = semantics[`${part}_complement`] === "compute"
      ? ops.complement(scalar)
      : ops.scalar(1 - beta);
    if (form === "weighted") {
      if (fused === "momentum") {
        const y = note(second, `(1-${b}) ⊗ g`, ops.multiply(complement, g));
        return note(sum, `fma(${b}, m, ${second})`, ops.fma(scalar, m, y));
      }
      const x = note(first, `${b} ⊗ m`, ops.multiply(scalar, m));
      if (fused === "gradient") {
        return note(sum, `fma(1-${b}, g, ${first})`, ops.fma(complement, g, x));
      }
      const y = note(second, `(1-${b}) ⊗ g`, ops.multiply(complement, g));
      return note(sum, `${first} ⊕ ${second}`, ops.add(x, y));
    }
    const fromMomentum = form === "lerp-from-momentum";
    const [near, far, from, to] = fromMomentum ? [m, g, "m", "g"] : [g, m, "g", "m"];
    const [weight, weighs] = fromMomentum ? [complement, `1-${b}`] : [scalar, b];
    const difference = note(first, `${to} ⊖ ${from}`, ops.subtract(far, near), "own");
    if (fused === "difference") {
      return note(sum, `fma(${weighs}, ${first}, ${from})`, ops.fma(weight, difference, near));
    }
    const factor = fromMomentum ? `(${weighs})` : weighs;
    const moved = note(second, `${factor} ⊗ ${first}`, ops.multiply(weight, difference), "own");
    return note(sum, `${from} ⊕ ${second}`, ops.add(near, moved));
  }

  // θ' in the form of the decay that the port has (SPEC C19).
  function move(ops, semantics, scalars, theta, u, note) {
    const [lr, weight] = [ops.scalar(scalars.lr), ops.scalar(scalars.weight_decay)];
    const isTrue = (name) => semantics[name] === "True";
    const lessStep = (name, base, baseName, amount, amountName) => {
      if (isTrue("step_fused")) {
        return note(name, `fma(-η, ${amountName}, ${baseName})`, ops.fma(-lr, amount, base));
      }
      const kind = amountName === "u" ? "own" : undefined; // in C5 the decay is in it
      const e = note("e", `η ⊗ ${amountName}`, ops.multiply(lr, amount), kind);
      return note(name, `${baseName} ⊖ e`, ops.subtract(base, e));
    };
    if (isTrue("decay_skipped_at_zero") && scalars.weight_decay === 0) {
      return lessStep("θ'", theta, "θ", u, "u");
    }
    if (semantics.decay === "sum") {
      if (isTrue("decay_fused")) {
        const s = note("s", "fma(λ, θ, u)", ops.fma(weight, theta, u));
        return lessStep("θ'", theta, "θ", s, "s");
      }
      const d = note("d", "λ ⊗ θ", ops.multiply(weight, theta));
      const s = note("s", "u ⊕ d", ops.add(u, d));
      return lessStep("θ'", theta, "θ", s, "s");
    }
    const inCompute = semantics.decay_scalar === "compute";
    const product = inCompute
      ? ops.scalarProduct(lr, weight)
      : ops.scalar(scalars.lr * scalars.weight_decay);
    if (semantics.decay === "factor") {
      const factor = inCompute
        ? ops.complement(product)
        : ops.scalar(1 - scalars.lr * scalars.weight_decay);
      if (isTrue("decay_fused")) {
        const e = note("e", "η ⊗ u", ops.multiply(lr, u), "own");
        return note("θ'", "fma(1-ηλ, θ, -e)", ops.fma(factor, theta, -e));
      }
      const decayed = note("d", "(1-ηλ) ⊗ θ", ops.multiply(factor, theta), "own");
      return lessStep("θ'", decayed, "d", u, "u");
    }
    const leftToRight = semantics.decay_scalar === "left-to-right";
    const [by, what] = leftToRight ? [lr, ops.multiply(weight, theta)] : [product, theta];
    const lessDecay = (name, base, baseName, kind) => {
      if (isTrue("decay_fused")) {
        return note(name, `fma(-ηλ, θ, ${baseName})`, ops.fma(-by, what, base), kind);
      }
      const formula = leftToRight ? "η ⊗ (λ ⊗ θ)" : "ηλ ⊗ θ";
      const d = note("d", formula, ops.multiply(by, what), "own");
      return note(name, `${baseName} ⊖ d`, ops.subtract(base, d), kind);
    };
    if (semantics.decay_order === "step-first") {
      const e = note("e", "η ⊗ u", ops.multiply(lr, u), "own");
      const stepped = note("s", "θ ⊖ e", ops.subtract(theta, e), "own");
      return lessDecay("θ'", stepped, "s");
    }
    return lessStep("θ'", lessDecay("s", theta, "θ", "own"), "s", u, "u");
  }

  // Every operation of a step. `choice` is a key of CHOICES, or "" for the reference.
  //
  // inputs: theta, m, g (numbers of `dtype`), lr, beta1, beta2, weight_decay (doubles), dtype.
  // Gives operations, by name: {formula, value, bits, own}; and param and momentum, as stored.
  function step(inputs, choice) {
    const semantics = { ...DEFAULTS };
    for (const pair of choice ? choice.split(", ") : []) {
      const [field, value] = pair.split("=");
      semantics[field] = value;
    }
    const stored = FORMATS[inputs.dtype];
    const arithmetic = (precision) => {
      if (semantics.excess) return inFloat64;
      return inFloat32(semantics, precision === "storage" ? stored : float32);
    };
    const operations = {};
    const noteIn = (ops) => (name, formula, value, kind) => {
      operations[name] = { formula, value, bits: ops.held.bits(value), own: kind === "own" };
      return value;
    };

    const stepping = arithmetic(semantics.precision);
    let [theta, m, g] = [inputs.theta, inputs.m, inputs.g].map(stepping.load);
    const note = noteIn(stepping);
    const c = interpolate(stepping, semantics, "sign", inputs.beta1, m, g, note);
    const u = note("u", "sign(c)", sign(semantics, c));
    const param = move(stepping, semantics, inputs, theta, u, note);

    const keeping = arithmetic(semantics.momentum_precision);
    [m, g] = [inputs.m, inputs.g].map(keeping.load);
    const noteKept = noteIn(keeping);
    const momentum = interpolate(keeping, semantics, "momentum", inputs.beta2, m, g, noteKept);
    return { operations, param: stored.round(param), momentum: stored.round(momentum) };
  }

  globalThis.lionStep = { step, CHOICES, FORMATS };
})();
