import CEngine
import CKernels
import ModelCore
import ModelGraph

extension Compiler {
  /// A convolution or its transpose over [batch, channels, spatial…], channels innermost, with what is fused into it.
  /// - Returns: false for what oneDNN does not do: margins that cut, and a batch norm in weights that are computed.
  mutating func convolution(_ geometry: ConvolutionGeometry, _ node: Graph.Node, _ epilogue: Epilogue) throws -> Bool {
    let (input, weight) = (node.operands[0], node.operands[1])
    let bias = node.operands.count > 2 ? node.operands[2] : epilogue.bias
    guard epilogue.norm == nil || isStored(node), types[input].shape.count <= 5,
      geometry.padding.allSatisfy({ $0.before >= 0 && $0.after >= 0 })
    else { return false }
    let source = try dense(place(input, as: computed), as: .channelsLast(types[input].shape))
    let shape = types[node.results[0]].shape
    let outputs = shape[1]
    var folded = try epilogue.norm.map { try self.folded($0, bias, outputs) }
    if geometry.isTransposed { folded?.scale.spread(over: types[weight].shape, geometry.groups) }
    var epilogue = epilogue
    let tail = epilogue.takeTail()
    let posts = try self.posts(epilogue, shape)
    let result = allocate(.channelsLast(shape), computed, for: epilogue.result)
    var window = ce_window(geometry, kernel: Array(types[weight].shape.dropFirst(2)))
    if geometry.isTransposed { window.fill(input: types[input].shape, output: shape) }

    let packed = packedShape(types[weight].shape, geometry)
    let (src, dst) = (try MemoryDescription(source), try MemoryDescription(result))
    let free = try MemoryDescription(packed.shape, strides: nil, computed)
    let line = folded != nil || bias != nil ? try MemoryDescription([outputs], strides: [1]) : nil
    let primitive = try Primitive(geometry.isTransposed ? "transposed convolution" : "convolution") { made in
      posts.withPosts { count, posts in
        (geometry.isTransposed ? ce_deconvolution : ce_convolution)(
          &made, src.handle, free.handle, line?.handle, dst.handle, &window, count, posts)
      }
    }
    let reads = [(CE_SRC, source)] + (try operands(weight, bias, folded, packed, for: primitive))
    add(
      node, geometry.isTransposed ? "transposed convolution" : "convolution", primitive, reads, [(CE_DST, result)],
      posts: posts.operands)
    try tail.map { try add($0, to: result, node) }
    return true
  }

  /// […, in] by a stored weight [out, in].
  mutating func linear(_ node: Graph.Node, _ epilogue: Epilogue) throws -> Bool {
    let (input, weight) = (node.operands[0], node.operands[1])
    let bias = node.operands.count > 2 ? node.operands[2] : epilogue.bias
    guard epilogue.norm == nil || isStored(node) else { return false }
    let (shape, weightShape) = (types[node.results[0]].shape, types[weight].shape)
    let rows = shape.dropLast().reduce(1, *)
    let source = try dense(place(input, as: computed), as: .rowMajor(types[input].shape))
    let folded = try epilogue.norm.map { try self.folded($0, bias, weightShape[0]) }
    var epilogue = epilogue
    let tail = epilogue.takeTail()
    let posts = try self.posts(epilogue, shape, asRows: rows)
    let result = allocate(.rowMajor(shape), computed, for: epilogue.result)
    let (a, c) = (
      try MemoryDescription([rows, weightShape[1]], strides: [weightShape[1], 1], computed),
      try MemoryDescription([rows, weightShape[0]], strides: [weightShape[0], 1], computed)
    )
    let packed = (shape: [weightShape[1], weightShape[0]], strides: [1, weightShape[1]])
    let free = try MemoryDescription(packed.shape, strides: nil, computed)
    let line =
      folded != nil || bias != nil ? try MemoryDescription([1, weightShape[0]], strides: [weightShape[0], 1]) : nil
    let primitive = try Primitive("product") { made in
      posts.withPosts { ce_matmul(&made, a.handle, free.handle, line?.handle, c.handle, $0, $1) }
    }
    let reads = [(CE_SRC, source)] + (try operands(weight, bias, folded, packed, for: primitive))
    add(node, "linear", primitive, reads, [(CE_DST, result)], posts: posts.operands)
    try tail.map { try add($0, to: result, node) }
    return true
  }

  // MARK: Weights

  /// Whether a layer's weight and bias are the same in every run.
  private func isStored(_ node: Graph.Node) -> Bool { node.operands.dropFirst().allSatisfy { isConstant($0) } }

  /// What a batch norm makes of a layer's weight and bias: factors of equal parts of the weight, and another bias.
  private struct Folded {
    var scale: [Float]
    let biases: [Float]
  }

  private mutating func folded(_ norm: Graph.Node, _ bias: Graph.Value?, _ outputs: Int) throws -> Folded {
    let (scale, shift) = try scaleAndShift(norm)
    let biases = try bias.map { try floats($0) }
    return Folded(scale: scale, biases: (0..<outputs).map { (biases?[$0] ?? 0) * scale[$0] + shift[$0] })
  }

  /// A layer's weight and bias as its primitive takes them, or what a batch norm has made of them.
  private mutating func operands(
    _ weight: Graph.Value, _ bias: Graph.Value?, _ folded: Folded?, _ source: (shape: [Int], strides: [Int]),
    for primitive: Primitive
  ) throws -> [(ce_argument, Placed)] {
    if let folded {
      return [
        (CE_WEIGHTS, try pack(weight, scaledBy: folded.scale, source, for: primitive)),
        (CE_BIAS, try addConstant(folded.biases, .rowMajor([folded.biases.count]))),
      ]
    }
    return [(CE_WEIGHTS, try packed(weight, source, for: primitive))]
      + (try bias.map { [(CE_BIAS, try rowMajor($0))] } ?? [])
  }

  /// A weight in the layout that a primitive chose: a constant, or reordered in every run where it is computed.
  mutating func packed(
    _ weight: Graph.Value, _ source: (shape: [Int], strides: [Int]), for primitive: Primitive
  ) throws -> Placed {
    if isConstant(weight) { return try pack(weight, source, for: primitive) }
    guard let wanted = primitive.description(of: CE_WEIGHTS) else { throw ModelError(.system, "oneDNN hides a layout") }
    let given = try MemoryDescription(source.shape, strides: source.strides)
    let values = try rowMajor(weight)
    let result = try scratch(.rowMajor([(wanted.byteCount + 3) / 4]))
    let reorder = try Primitive("reorder") { ce_reorder(&$0, given.handle, wanted.handle) }
    add("", "reorder", reorder, [(CE_SRC, values)], [(CE_DST, result)])
    return result
  }

  /// The factor and the addend that a batch norm by running statistics comes to for each channel.
  mutating func scaleAndShift(_ norm: Graph.Node) throws -> (scale: [Float], shift: [Float]) {
    guard case .batchNorm(_, let eps) = norm.operation else { return ([], []) }
    let values = try norm.operands[1...4].map { try array($0).values }
    let scale = zip(values[0], values[3]).map { $0 / ($1 + eps).squareRoot() }
    let shift = scale.indices.map { values[1][$0] - values[2][$0] * scale[$0] }
    return (scale.map { Float($0) }, shift.map { Float($0) })
  }

  /// Weights as oneDNN counts their axes: groups first where there are several, outputs before inputs.
  func packedShape(_ shape: [Int], _ geometry: ConvolutionGeometry) -> (shape: [Int], strides: [Int]) {
    let strides = Tensor.contiguousStrides(shape)
    let kernel = (Array(shape.dropFirst(2)), Array(strides.dropFirst(2)))
    let groups = geometry.groups
    let first = shape[0] / groups
    var (axes, steps) = ([first, shape[1]], [strides[0], strides[1]])
    if geometry.isTransposed {
      axes.swapAt(0, 1)
      steps.swapAt(0, 1)
    }
    if groups > 1 {
      axes.insert(groups, at: 0)
      steps.insert(first * strides[0], at: 0)
    }
    return (axes + kernel.0, steps + kernel.1)
  }

  /// A weight in the layout that a primitive chose, as a constant.
  /// - Parameter scale: a factor for each of so many equal parts of the weight, one behind the other.
  private mutating func pack(
    _ weight: Graph.Value, scaledBy scale: [Float]? = nil, _ source: (shape: [Int], strides: [Int]),
    for primitive: Primitive
  ) throws -> Placed {
    guard let wanted = primitive.description(of: CE_WEIGHTS) else { throw ModelError(.system, "oneDNN hides a layout") }
    let given = try MemoryDescription(source.shape, strides: source.strides)
    let constant = try makeConstant(byteCount: wanted.byteCount)
    let reorder = try Primitive("reorder") { ce_reorder(&$0, given.handle, wanted.handle) }
    let tensor = try self.tensor(weight)
    try tensor.withContiguousBytes { bytes in
      guard let base = bytes.baseAddress, tensor.count > 0 else { return }
      guard let scale else { return try reorder.run(from: base, to: constant.pointer) }
      let scaled = UnsafeMutableRawPointer.allocate(byteCount: bytes.count, alignment: Arena.alignment)
      defer { scaled.deallocate() }
      mk_scale_rows(scaled, base, scale.count, tensor.count / scale.count, scale.map { Double($0) }, MK_FLOAT32)
      try reorder.run(from: scaled, to: constant.pointer)
    }
    tensor.releasePages()
    return addConstant(constant, .rowMajor(source.shape))
  }
}

extension [Float] {
  /// Factors of outputs as those of the rows of a transposed convolution's weight [in, out / groups, …]: a group's
  /// inputs go to its outputs.
  fileprivate mutating func spread(over shape: [Int], _ groups: Int) {
    let inputs = shape[0] / groups
    self = (0..<shape[0]).flatMap { self[$0 / inputs * shape[1]..<($0 / inputs + 1) * shape[1]] }
  }
}

extension ce_window {
  init(_ geometry: ConvolutionGeometry, kernel: [Int]) {
    self.init()
    axes = Int32(kernel.count)
    Self.set(&self.kernel, kernel)
    Self.set(&stride, geometry.stride)
    Self.set(&dilation, geometry.dilation)
    Self.set(&before, geometry.padding.map(\.before))
    Self.set(&after, geometry.padding.map(\.after))
  }

  init(_ pool: Pool, input: [Int], output: [Int]) {
    self.init()
    let axes = pool.kernelSize.count
    self.axes = Int32(axes)
    Self.set(&kernel, pool.kernelSize)
    Self.set(&stride, pool.stride)
    Self.set(&dilation, pool.dilation)
    Self.set(&before, pool.padding)
    // Whatever makes as many windows as were inferred, those of ceil mode too.
    Self.set(
      &after,
      (0..<axes).map { axis in
        (output[axis + 2] - 1) * pool.stride[axis] + (pool.kernelSize[axis] - 1) * pool.dilation[axis] + 1
          - input[axis + 2] - pool.padding[axis]
      })
  }

  /// Margins behind that make a transposed convolution's output as long as it is.
  mutating func fill(input: [Int], output: [Int]) {
    let values = (0..<Int(axes)).map { axis -> Int in
      func at(_ field: (Int64, Int64, Int64)) -> Int { Int([field.0, field.1, field.2][axis]) }
      let reach = (input[axis + 2] - 1) * at(stride) + (at(kernel) - 1) * at(dilation) + 1
      return reach - at(before) - output[axis + 2]
    }
    Self.set(&after, values)
  }

  private static func set(_ field: inout (Int64, Int64, Int64), _ values: [Int]) {
    let padded = values.map(Int64.init) + [0, 0, 0]
    field = (padded[0], padded[1], padded[2])
  }
}
