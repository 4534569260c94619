import ModelCore
import ModelGraph

/// The layers of `torch.nn` beyond those of classifiers.
extension ForwardCall {
  // MARK: Norms

  /// By the instance's own statistics, or in evaluation by running ones where there are any.
  func instanceNorm(_ norm: InstanceNorm, _ x: Value) throws -> Value {
    guard (1...1 << 24).contains(norm.features) else { throw missing("num_features") }
    func each(_ number: Double) throws -> Value { try expand(constant([number]), [.fixed(norm.features)]) }
    let (weight, bias) = (try optionalWeight("weight") ?? each(1), try optionalWeight("bias") ?? each(0))
    guard let mean = optionalWeight("running_mean"), let variance = optionalWeight("running_var") else {
      // The weight also tells channels apart from another number of them.
      return try emit(.groupNorm(groups: norm.features, eps: norm.eps), [x, weight, bias])
    }
    guard isTraining else {
      return try emit(.batchNorm(.inference, eps: norm.eps), [x, weight, bias, mean, variance])
    }
    // Every instance's channels are channels of one batch; what the running statistics become is then averaged.
    let rest = Extent.axes(operand: 0, from: 2)
    let instances = try reshape(x, [.fixed(1), .inferred, rest])
    func repeated(_ value: Value) throws -> Value {
      try reshape(expand(value, [.of(operand: 1, axis: 0), .fixed(norm.features)], like: x), [.inferred])
    }
    let results = try emitAll(
      .batchNorm(.training(momentum: norm.momentum ?? 0), eps: norm.eps),
      [instances] + [weight, bias, mean, variance].map(repeated))
    for (name, result) in zip(["running_mean", "running_var"], results[1...]) {
      try update(name, to: self.mean(reshape(result, [.inferred, .fixed(norm.features)]), axes: [0]))
    }
    return try reshape(results[0], [.axes(operand: 1, from: 0)], like: x)
  }

  func localResponseNorm(_ norm: LocalResponseNorm, _ x: Value) throws -> Value {
    guard (1...1 << 20).contains(norm.size) else { throw missing("size") }
    let planes = try reshape(
      unary(.square, x), [.of(operand: 0, axis: 0), .fixed(1), .of(operand: 0, axis: 1), .inferred])
    let padded = try emit(
      .pad([Margin(0), Margin(0), Margin(norm.size / 2, (norm.size - 1) / 2), Margin(0)], .constant(0)), planes)
    let means = try emit(.pool(Pool(.average, kernelSize: [norm.size, 1], stride: [1, 1])), padded)
    let sum = try add(multiply(reshape(means, [.axes(operand: 1, from: 0)], like: x), norm.alpha), norm.k)
    return try divide(x, binary(.power, sum, constant([norm.beta], [])))
  }

  // MARK: Halves, powers, windows

  /// An axis whose length is odd is refused.
  func glu(_ x: Value, axis: Int) throws -> Value {
    let half = Extent.of(operand: 0, axis: axis, divisor: 2)
    let halves = try emitAll(.split(axis: axis, .extents([half, half])), [x])
    return try multiply(halves[0], sigmoid(halves[1]))
  }

  func powerPool(_ pool: PowerPool, _ x: Value) throws -> Value {
    let rank = pool.kernelSize.count
    guard (1...3).contains(rank), pool.kernelSize.allSatisfy({ (1...1 << 20).contains($0) }), pool.norm != 0 else {
      throw missing("norm_type")
    }
    func pooled(_ kind: Pool.Kind, _ value: Value) throws -> Value {
      try emit(.pool(Pool(kind, kernelSize: pool.kernelSize, stride: pool.stride, ceilMode: pool.ceilMode)), value)
    }
    if pool.norm == .infinity { return try pooled(.max, unary(.abs, x)) }
    guard pool.norm.isFinite else { throw missing("norm_type") }
    let means = try pooled(.average, binary(.power, x, constant([pool.norm], [])))
    let positive = try multiply(unary(.sign, means), relu(unary(.abs, means)))
    let elements = pool.kernelSize.reduce(1.0) { $0 * Double($1) }
    return try binary(.power, multiply(positive, elements), constant([1 / pool.norm], []))
  }

  /// How many places a window may have.
  private static let windowLimit = 4096

  /// Columns of the windows' elements, or their sum in a picture.
  func unfold(_ unfold: Unfold, _ x: Value) throws -> Value {
    let all = [unfold.kernelSize, unfold.dilation, unfold.padding, unfold.stride, unfold.outputSize ?? [1, 1]]
    guard all.allSatisfy({ $0.count == 2 && $0.allSatisfy { (0...1 << 16).contains($0) } }),
      unfold.kernelSize.allSatisfy({ $0 > 0 }), unfold.dilation.allSatisfy({ $0 > 0 }),
      unfold.stride.allSatisfy({ $0 > 0 })
    else { throw missing("kernel_size") }
    let count = unfold.kernelSize[0] * unfold.kernelSize[1]
    guard count <= Self.windowLimit else {
      throw ModelError(.limit, "windows of more than \(Self.windowLimit) elements are not unfolded", subject: path)
    }
    let places = (0..<count).map {
      [$0 / unfold.kernelSize[1] * unfold.dilation[0], $0 % unfold.kernelSize[1] * unfold.dilation[1]]
    }
    let reach = (0..<2).map { unfold.dilation[$0] * (unfold.kernelSize[$0] - 1) }
    if let size = unfold.outputSize { return try fold(unfold, x, size, places, reach) }
    let padded = try pad(x, [unfold.padding[1], unfold.padding[1], unfold.padding[0], unfold.padding[0]])
    // A window's element stands as far before the end of the last window's as behind the beginning of the first one's.
    let elements = try places.map { place in
      try (0..<2).reduce(padded) { part, axis in
        let remaining = reach[axis] - place[axis]
        return try slice(
          part, axis: axis + 2, from: place[axis], to: remaining > 0 ? -remaining : nil, step: unfold.stride[axis])
      }
    }
    return try reshape(
      stack(elements, axis: 2),
      [.of(operand: 0, axis: 0), .of(operand: 1, axis: 1, multiple: count), .inferred], like: x)
  }

  private func fold(_ fold: Unfold, _ x: Value, _ size: [Int], _ places: [[Int]], _ reach: [Int]) throws -> Value {
    let padded = (0..<2).map { size[$0] + 2 * fold.padding[$0] }
    guard (0..<2).allSatisfy({ padded[$0] > reach[$0] }) else { throw missing("output_size") }
    let windows = (0..<2).map { (padded[$0] - reach[$0] - 1) / fold.stride[$0] + 1 }
    let cells = try reshape(
      x,
      [
        .of(operand: 0, axis: 0), .of(operand: 0, axis: 1, divisor: places.count), .fixed(places.count),
        .fixed(windows[0]), .fixed(1), .fixed(windows[1]), .fixed(1),
      ])
    // Zeros between the windows' places, and all of them in a picture with its padding.
    let none = Margin(0)
    let apart = try reshape(
      emit(
        .pad(
          [none, none, none, none, Margin(0, fold.stride[0] - 1), none, Margin(0, fold.stride[1] - 1)], .constant(0)),
        cells),
      [
        .of(operand: 0, axis: 0), .of(operand: 0, axis: 1), .fixed(places.count),
        .fixed(windows[0] * fold.stride[0]), .fixed(windows[1] * fold.stride[1]),
      ])
    let parts = try places.enumerated().map { index, place in
      let part = try reshape(
        slice(apart, axis: 2, from: index, to: index + 1),
        [.of(operand: 0, axis: 0), .of(operand: 0, axis: 1), .of(operand: 0, axis: 3), .of(operand: 0, axis: 4)])
      let margins = (0..<2).map { axis in
        let before = place[axis] - fold.padding[axis]
        return Margin(before, size[axis] - before - windows[axis] * fold.stride[axis])
      }
      return try emit(.pad([none, none] + margins, .constant(0)), part)
    }
    return try sum(parts)
  }

  // MARK: Arrangement

  func unflatten(_ unflatten: Unflatten, _ x: Value) throws -> Value {
    let axis = unflatten.axis
    guard abs(axis) <= 64, !unflatten.sizes.isEmpty, unflatten.sizes.allSatisfy({ (-1...1 << 30).contains($0) }) else {
      throw missing("unflattened_size")
    }
    let sizes: [Extent] = unflatten.sizes.map { $0 == -1 ? .inferred : .fixed($0) }
    let before: [Extent] = axis == 0 ? [] : [.axes(operand: 0, from: 0, to: axis)]
    let after: [Extent] = axis == -1 ? [] : [.axes(operand: 0, from: axis + 1)]
    return try reshape(x, before + sizes + after)
  }

  func channelShuffle(_ x: Value, groups: Int) throws -> Value {
    guard (1...1 << 20).contains(groups) else { throw missing("groups") }
    let spread = try reshape(
      x, [.of(operand: 0, axis: 0), .fixed(groups), .of(operand: 0, axis: 1, divisor: groups), .inferred])
    return try reshape(permute(spread, [0, 2, 1, 3]), [.axes(operand: 1, from: 0)], like: x)
  }

  // MARK: Rows of a table, and two inputs

  func embed(_ embedding: Embedding, _ x: Value) throws -> Value {
    let rows = try emit(.gather(axis: 0, batchAxes: 0), weight("weight"), x)
    switch embedding.mode {
    case nil: return rows
    case .sum: return try emit(.reduce(.sum, axes: [1], keepsAxes: false), rows)
    case .mean: return try emit(.reduce(.mean, axes: [1], keepsAxes: false), rows)
    case .max: return try emit(.reduce(.max, axes: [1], keepsAxes: false), rows)
    }
  }

  func bilinear(_ bilinear: Bilinear, _ inputs: [Value]) throws -> Value {
    try check(inputs, count: 2)
    let rows = try inputs.map { try reshape($0, [.inferred, .of(operand: 0, axis: -1)]) }
    let first = try emit(.einsum("ni,oij->noj"), rows[0], weight("weight"))
    let second = try emit(.einsum("noj,nj->no"), first, rows[1])
    let result = try reshape(
      second, [.axes(operand: 1, from: 0, to: -1), .of(operand: 0, axis: 1)], like: inputs[0])
    return try optionalWeight("bias").map { try add(result, $0) } ?? result
  }

  // MARK: Sequences

  /// Layer by layer, each in one or both directions.
  func recurrent(_ layer: Recurrent, _ inputs: [Value]) throws -> [Value] {
    let hasCell = layer.kind == .lstm
    guard let first = inputs.first, inputs.count == 1 || inputs.count == (hasCell ? 3 : 2) else {
      throw ModelError(.unsupported, "takes a sequence, and perhaps its first states", subject: path)
    }
    guard (1...Recurrent.layerLimit).contains(layer.layers), (1...1 << 24).contains(layer.hiddenSize),
      (0...layer.hiddenSize).contains(layer.projectionSize)
    else { throw missing("num_layers") }
    var x = layer.isBatchFirst ? try permute(first, [1, 0, 2]) : first
    let widths = [layer.projectionSize > 0 ? layer.projectionSize : layer.hiddenSize, layer.hiddenSize]
    let zeros = try constant([0])
    /// The first state, or a cell's, of a layer and direction.
    func start(_ place: Int, _ kind: Int) throws -> Value {
      guard inputs.count > 1 else {
        return try expand(zeros, [.of(operand: 1, axis: 1), .fixed(widths[kind])], like: x)
      }
      return try reshape(
        slice(inputs[kind + 1], axis: 0, from: place, to: place + 1),
        [.of(operand: 0, axis: 1), .of(operand: 0, axis: 2)])
    }
    var last: [[Value]] = []
    let directions = layer.isBidirectional ? 2 : 1
    for (index, suffix) in layer.suffixes.enumerated() where index % directions == 0 {
      if index > 0, isTraining, layer.dropout > 0 {
        x = try emit(.dropout(Dropout(probability: layer.dropout)), x)
      }
      var outputs: [Value] = []
      for direction in 0..<directions {
        let place = index + direction
        let states = try (0..<(hasCell ? 2 : 1)).map { try start(place, $0) }
        let weights = try layer.weightNames(direction == 0 ? suffix : suffix + "_reverse").map { try weight($0) }
        let recurrence = Recurrence(
          layer.kind, isReversed: direction == 1, hasBias: layer.hasBias, isProjected: layer.projectionSize > 0)
        let results = try emitAll(.recurrence(recurrence), [x] + states + weights)
        outputs.append(results[0])
        last.append(Array(results.dropFirst()))
      }
      x = outputs.count == 1 ? outputs[0] : try concatenate(outputs, axis: 2)
    }
    let states = try (0..<(hasCell ? 2 : 1)).map { kind in try stack(last.map { $0[kind] }) }
    return [layer.isBatchFirst ? try permute(x, [1, 0, 2]) : x] + states
  }

  /// One step, of a batch or without one.
  func recurrentCell(_ cell: RecurrentCell, _ inputs: [Value]) throws -> [Value] {
    let stateCount = cell.kind == .lstm ? 2 : 1
    guard let first = inputs.first, inputs.count == 1 || inputs.count == 1 + stateCount else {
      throw ModelError(.unsupported, "takes an input, and perhaps the states before it", subject: path)
    }
    guard (1...1 << 24).contains(cell.hiddenSize) else { throw missing("hidden_size") }
    let x = try reshape(first, [.fixed(1), .inferred, .of(operand: 0, axis: -1)])
    let zeros = try constant([0])
    let states = try (1...stateCount).map { place in
      guard inputs.count > 1 else {
        return try expand(zeros, [.of(operand: 1, axis: 1), .fixed(cell.hiddenSize)], like: x)
      }
      return try reshape(inputs[place], [.inferred, .of(operand: 0, axis: -1)])
    }
    let recurrence = Operation.recurrence(Recurrence(cell.kind, hasBias: cell.hasBias))
    return try emitAll(recurrence, [x] + states + cell.weightNames.map { try weight($0) }).dropFirst().map {
      try reshape($0, [.axes(operand: 1, from: 0, to: -1), .of(operand: 0, axis: -1)], like: first)
    }
  }
}
