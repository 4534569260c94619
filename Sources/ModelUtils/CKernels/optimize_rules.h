// The steps of the optimizers for one element type: included once for each, with NUMBER, WORD (the same, unaligned),
// FMA, TYPE and NAMED(name) defined. The order of roundings is PyTorch's: its `add(alpha)`, `addcmul` and `lerp` are fused,
// its `mul` and `addcdiv` are not.

// What the rule takes for the gradient: clipped, turned to maximize, with L2 decay. A NaN stays.
MK_INLINE void NAMED(gradient)(NUMBER *g, const WORD *source, const WORD *p, size_t count, const mk_optimizer *o) {
  NUMBER scale = (NUMBER)o->gradient_scale, decay = (NUMBER)o->weight_decay;
  NUMBER limit = (NUMBER)o->gradient_limit;
  MK_INDEPENDENT
  for (size_t i = 0; i < count; ++i) g[i] = source[i] * scale;
  if (limit < (NUMBER)INFINITY) {
    MK_INDEPENDENT
    for (size_t i = 0; i < count; ++i) g[i] = g[i] < -limit ? -limit : g[i] > limit ? limit : g[i];
  }
  if (o->maximize) {
    MK_INDEPENDENT
    for (size_t i = 0; i < count; ++i) g[i] = -g[i];
  }
  if (o->weight_decay != 0 && !o->is_decoupled) {
    MK_INDEPENDENT
    for (size_t i = 0; i < count; ++i) g[i] = FMA(decay, p[i], g[i]);
  }
}

// state += weight · (g - state), from the nearer end.
MK_INLINE void NAMED(lerp)(WORD *state, const NUMBER *g, size_t count, double part) {
  NUMBER weight = (NUMBER)part, rest = 1 - weight;
  if (__builtin_fabs((double)weight) < 0.5) {
    MK_INDEPENDENT
    for (size_t i = 0; i < count; ++i) state[i] = FMA(weight, g[i] - state[i], state[i]);
  } else {
    MK_INDEPENDENT
    for (size_t i = 0; i < count; ++i) state[i] = FMA(-(g[i] - state[i]), rest, g[i]);
  }
}

// state = decay · state + (1 - decay) · g²
MK_INLINE void NAMED(squares)(WORD *state, const NUMBER *g, size_t count, double decay) {
  NUMBER keep = (NUMBER)decay, rest = (NUMBER)(1 - decay);
  MK_INDEPENDENT
  for (size_t i = 0; i < count; ++i) state[i] = FMA(rest * g[i], g[i], state[i] * keep);
}

MK_INLINE void NAMED(sgd)(WORD *p, NUMBER *g, WORD *buffer, size_t count, const mk_optimizer *o) {
  NUMBER rate = (NUMBER)-o->learning_rate, momentum = (NUMBER)o->momentum, part = (NUMBER)(1 - o->dampening);
  if (o->momentum != 0) {
    if (o->is_first) {
      MK_INDEPENDENT
      for (size_t i = 0; i < count; ++i) buffer[i] = g[i];
    } else {
      MK_INDEPENDENT
      for (size_t i = 0; i < count; ++i) buffer[i] = FMA(part, g[i], buffer[i] * momentum);
    }
    if (o->nesterov) {
      MK_INDEPENDENT
      for (size_t i = 0; i < count; ++i) g[i] = FMA(momentum, buffer[i], g[i]);
    } else {
      MK_INDEPENDENT
      for (size_t i = 0; i < count; ++i) g[i] = buffer[i];
    }
  }
  MK_INDEPENDENT
  for (size_t i = 0; i < count; ++i) p[i] = FMA(rate, g[i], p[i]);
}

MK_INLINE void NAMED(adam)(
  WORD *p, const NUMBER *g, WORD *mean, WORD *square, WORD *greatest, size_t count, const mk_optimizer *o) {
  NUMBER shrink = (NUMBER)(1 - o->learning_rate * o->weight_decay), eps = (NUMBER)o->eps;
  NUMBER step = (NUMBER)-(o->learning_rate / o->first_correction), divisor = (NUMBER)o->second_correction;
  if (o->weight_decay != 0 && o->is_decoupled) {
    MK_INDEPENDENT
    for (size_t i = 0; i < count; ++i) p[i] *= shrink;
  }
  NAMED(lerp)(mean, g, count, 1 - o->beta1);
  NAMED(squares)(square, g, count, o->beta2);
  if (greatest) {
    // A NaN on either side stays.
    MK_INDEPENDENT
    for (size_t i = 0; i < count; ++i)
      greatest[i] = square[i] > greatest[i] || square[i] != square[i] ? square[i] : greatest[i];
    square = greatest;
  }
  MK_INDEPENDENT
  for (size_t i = 0; i < count; ++i)
    p[i] += step * mean[i] / (__builtin_elementwise_sqrt((NUMBER)square[i]) / divisor + eps);
}

MK_INLINE void NAMED(rmsprop)(
  WORD *p, NUMBER *g, WORD *square, WORD *buffer, WORD *mean, size_t count, const mk_optimizer *o) {
  NUMBER rate = (NUMBER)-o->learning_rate, momentum = (NUMBER)o->momentum, eps = (NUMBER)o->eps;
  NUMBER root[MK_BLOCK];
  NAMED(squares)(square, g, count, o->alpha);
  if (mean) {
    NAMED(lerp)(mean, g, count, 1 - o->alpha);
    MK_INDEPENDENT
    for (size_t i = 0; i < count; ++i) root[i] = FMA(-mean[i], mean[i], square[i]);
  } else {
    MK_INDEPENDENT
    for (size_t i = 0; i < count; ++i) root[i] = square[i];
  }
  MK_INDEPENDENT
  for (size_t i = 0; i < count; ++i) root[i] = __builtin_elementwise_sqrt(root[i]) + eps;
  if (buffer) {
    MK_INDEPENDENT
    for (size_t i = 0; i < count; ++i) {
      buffer[i] = buffer[i] * momentum + g[i] / root[i];
      p[i] = FMA(rate, buffer[i], p[i]);
    }
  } else {
    MK_INDEPENDENT
    for (size_t i = 0; i < count; ++i) p[i] += rate * g[i] / root[i];
  }
}

MK_INLINE void NAMED(optimize)(
  WORD *p, WORD *gradient, WORD *const states[3], WORD *average, size_t count, const mk_optimizer *o) {
  NUMBER g[MK_BLOCK];
  WORD *first = states[0], *second = states[1], *third = states[2];
  for (size_t done = 0; done < count; done += MK_BLOCK) {
    size_t length = count - done < MK_BLOCK ? count - done : MK_BLOCK;
    NAMED(gradient)(g, gradient + done, p + done, length, o);
    WORD *a = first ? first + done : first, *b = second ? second + done : second, *c = third ? third + done : third;
    switch (o->rule) {
    case MK_SGD: NAMED(sgd)(p + done, g, a, length, o); break;
    case MK_ADAM: NAMED(adam)(p + done, g, a, b, c, length, o); break;
    case MK_RMSPROP: NAMED(rmsprop)(p + done, g, a, b, c, length, o); break;
    }
    switch (average ? o->average : MK_AVERAGE_NONE) {
    case MK_AVERAGE_NONE: break;
    case MK_AVERAGE_MIX:
      mk_average_mix(average + done, TYPE, p + done, TYPE, length, o->average_keep, o->average_weight);
      break;
    case MK_AVERAGE_LERP: mk_average_lerp(average + done, TYPE, p + done, TYPE, length, o->average_weight); break;
    }
    if (o->zeroes_gradient) memset(gradient + done, 0, length * sizeof(NUMBER));
  }
}
