import CEngine
import CKernels
import ModelCore
import ModelGraph

extension Compiler {
  /// - Returns: false for what has no kernel.
  mutating func gradient(_ gradient: Gradient, _ node: Graph.Node) throws -> Bool {
    switch gradient {
    case .convolutionInput(let geometry, _): return try convolutionInputGradient(geometry, node)
    case .convolutionWeight(let geometry, _): return try convolutionWeightGradient(geometry, node)
    case .unary(let unary): return try unaryGradient(unary, node)
    case .batchNorm: try batchNormGradients(node, current[0])
    case .layerNorm(let axes, let eps, _): try normGradients(axes, eps, isCentered: true, node)
    case .rmsNorm(let axes, let eps, _):
      try normGradients(axes, eps ?? Double(Float.ulpOfOne), isCentered: false, node)
    case .pool(let pool): try poolGradient(pool, node)
    case .adaptivePool(let pool): try adaptivePoolGradient(pool, node)
    case .resize(let resize, _): try resizeGradient(resize, node)
    case .prelu, .groupNorm, .pad: return false
    }
    return true
  }

  // MARK: Convolutions

  private func isInLibrary(_ geometry: ConvolutionGeometry, _ shape: [Int]) -> Bool {
    shape.count <= 5 && geometry.padding.allSatisfy { $0.before >= 0 && $0.after >= 0 }
  }

  private mutating func convolutionInputGradient(_ geometry: ConvolutionGeometry, _ node: Graph.Node) throws -> Bool {
    let (weight, shape) = (node.operands[0], types[node.results[0]].shape)
    guard isInLibrary(geometry, shape) else { return false }
    let output = types[node.operands[1]].shape
    let gradient = try dense(place(node.operands[1], as: computed), as: .channelsLast(output))
    let result = allocate(.channelsLast(shape), computed, for: node.results[0])
    var window = ce_window(geometry, kernel: Array(types[weight].shape.dropFirst(2)))
    if geometry.isTransposed { window.fill(input: shape, output: output) }
    let source = packedShape(types[weight].shape, geometry)
    let (src, dst) = (try MemoryDescription(result), try MemoryDescription(gradient))
    let free = try MemoryDescription(source.shape, strides: nil, computed)
    let primitive = try Primitive("gradient of a convolution's input") {
      ce_convolution_data(&$0, geometry.isTransposed, src.handle, free.handle, dst.handle, &window)
    }
    let weights = try packed(weight, source, for: primitive)
    add(
      node, "gradient of a convolution's input", primitive, [(CE_DST_GRADIENT, gradient), (CE_WEIGHTS, weights)],
      [(CE_SRC_GRADIENT, result)])
    return true
  }

  private mutating func convolutionWeightGradient(_ given: ConvolutionGeometry, _ node: Graph.Node) throws -> Bool {
    var (geometry, shape) = (given, types[node.operands[0]].shape)
    let weightShape = types[node.results[0]].shape
    guard isInLibrary(geometry, shape) else { return false }
    let output = types[node.operands[1]].shape
    var placed = try place(node.operands[0], as: computed)
    if geometry.skipsPixels(weightShape), shape[1] % 8 != 0 {
      // oneDNN 2.6 writes beyond its memory here; what is skipped can as well be left out before.
      for axis in 2..<shape.count {
        let stride = geometry.stride[axis - 2]
        placed = placed.with(placed.layout.sliced(axis, from: 0, count: output[axis], step: stride))
        (geometry.stride[axis - 2], shape[axis]) = (1, output[axis])
      }
    }
    let input = try dense(placed, as: .channelsLast(shape))
    let gradient = try dense(place(node.operands[1], as: computed), as: .channelsLast(output))
    var window = ce_window(geometry, kernel: Array(weightShape.dropFirst(2)))
    if geometry.isTransposed { window.fill(input: shape, output: output) }
    let target = packedShape(weightShape, geometry)
    let (src, dst) = (try MemoryDescription(input), try MemoryDescription(gradient))
    let free = try MemoryDescription(target.shape, strides: nil)
    let primitive = try Primitive("gradient of a convolution's weight") {
      ce_convolution_weights(&$0, geometry.isTransposed, src.handle, free.handle, dst.handle, &window)
    }
    if primitive.implementation.contains("gemm"), geometry.groups == 1, !geometry.isTransposed, computed == .float32,
      let patches = Patches(geometry, input: shape, weight: weightShape, output: output)
    {
      return try convolutionWeightGradient(by: patches, input, gradient, weightShape, node)
    }
    guard let made = primitive.description(of: CE_WEIGHTS_GRADIENT) else {
      throw ModelError(.system, "oneDNN hides a layout")
    }
    let sums = try scratch(.rowMajor([(made.byteCount + 3) / 4]))
    add(
      node, "gradient of a convolution's weight", primitive, [(CE_SRC, input), (CE_DST_GRADIENT, gradient)],
      [(CE_WEIGHTS_GRADIENT, sums)])
    let result = allocate(.rowMajor(weightShape), for: node.results[0])
    let wanted = try MemoryDescription(target.shape, strides: target.strides)
    let reorder = try Primitive("reorder") { ce_reorder(&$0, made.handle, wanted.handle) }
    add(graph.scopes[node.scope].path, "reorder", reorder, [(CE_SRC, sums)], [(CE_DST, result)])
    return true
  }

  /// As one product of the gradient and what each window covers: oneDNN multiplies each picture by itself where its
  /// windows are few.
  private mutating func convolutionWeightGradient(
    by patches: Patches, _ input: Placed, _ gradient: Placed, _ weightShape: [Int], _ node: Graph.Node
  ) throws -> Bool {
    let (outputs, width) = (weightShape[0], patches.width)
    let columns = try scratch(.rowMajor([patches.rows, width]))
    let path = graph.scopes[node.scope].path
    add(path, "patches", "own", reads: [input], writes: [columns]) { memory in
      nonisolated(unsafe) let (from, to) = (memory.floats(input), memory.floats(columns))
      return { Parallel.forEachRange(patches.rows, of: width) { patches.gather(from, to, $0) } }
    }
    let sums = try scratch(.rowMajor([outputs, width]))
    let (a, b, c) = (
      try MemoryDescription([outputs, patches.rows], strides: [1, outputs]), try MemoryDescription(columns),
      try MemoryDescription(sums)
    )
    let product = try Primitive("product") { ce_matmul(&$0, a.handle, b.handle, nil, c.handle, 0, nil) }
    add(
      node, "gradient of a convolution's weight", product, [(CE_SRC, gradient), (CE_WEIGHTS, columns)],
      [(CE_DST, sums)])
    let result = allocate(.rowMajor(weightShape), for: node.results[0])
    add(path, "reorder", "own", reads: [sums], writes: [result]) { memory in
      nonisolated(unsafe) let (from, to) = (memory.floats(sums), memory.floats(result))
      return { Parallel.forEachRange(outputs, of: width) { patches.spread(from, to, $0) } }
    }
    return true
  }

  // MARK: Elements

  private mutating func unaryGradient(_ unary: Unary, _ node: Graph.Node) throws -> Bool {
    guard let kernel = DerivativeKernel(unary) else { return false }
    let known = try place(node.operands[0])
    let layout = Layout.ordered(known.layout.shape, known.layout.order)
    let source = try dense(known, as: layout)
    let gradient = try dense(place(node.operands[1]), as: layout)
    let result = allocate(layout, for: node.results[0])
    let (kind, a, b, count) = (kernel.kind, kernel.a, kernel.b, layout.count)
    add(node, "gradient of \(unary)", "own", reads: [source, gradient], writes: [result]) { memory in
      nonisolated(unsafe) let (x, g, to) = (memory.floats(source), memory.floats(gradient), memory.floats(result))
      return {
        Parallel.forEachRange(count, of: 1) { range in
          mk_derive(kind, a, b, to + range.lowerBound, x + range.lowerBound, g + range.lowerBound, range.count)
        }
      }
    }
    return true
  }

  /// Zeroes units by what a seed and a step draw.
  mutating func dropout(_ dropout: Dropout, _ node: Graph.Node) throws {
    guard node.operands.count > 1 else {
      throw ModelError(.unsupported, "dropout draws random numbers", advice: "set its probability to 0")
    }
    let shape = types[node.operands[0]].shape
    let source = try dense(place(node.operands[0]), as: .rowMajor(shape))
    let state = try place(node.operands[1])
    let result = allocate(.rowMajor(shape), for: node.results[0])
    let (units, size) = dropout.units(of: shape)
    add(node, "dropout", "own", reads: [source, state], writes: [result]) { memory in
      nonisolated(unsafe) let (from, to) = (memory.floats(source), memory.floats(result))
      nonisolated(unsafe) let numbers = memory.pointer(state).assumingMemoryBound(to: Int64.self)
      return {
        let draws = DropoutDraws(dropout, state: [Int(numbers[0]), Int(numbers[1])])
        Parallel.forEachRange(units, of: size * 8) { range in
          withUnsafeTemporaryAllocation(of: Float.self, capacity: range.count) { factors in
            draws.fill(factors, from: range.lowerBound)
            for (unit, factor) in zip(range, factors) {
              for place in unit * size..<(unit + 1) * size { to[place] = from[place] * factor }
            }
          }
        }
      }
    }
  }

  // MARK: Norms

  /// Of what normalises the last axes.
  private mutating func normGradients(_ axes: Int, _ eps: Double, isCentered: Bool, _ node: Graph.Node) throws {
    let shape = types[node.operands[0]].shape
    let length = shape.suffix(axes).reduce(1, *)
    let rows = shape.reduce(1, *) / length
    let source = try dense(place(node.operands[0]), as: .rowMajor(shape))
    let gradient = try dense(place(node.operands[node.operands.count - 1]), as: .rowMajor(shape))
    let weight = node.operands.count > 2 ? try rowMajor(node.operands[1]) : nil
    let result = allocate(.rowMajor(shape), for: node.results[0])
    let others = node.results.dropFirst().map { allocate(.rowMajor(types[$0].shape), for: $0) }
    // Sums by parts whose number depends on the sizes alone.
    let chunk = max(1, (1 << 15) / max(length, 1))
    let chunks = (rows + chunk - 1) / chunk
    let partial = try scratch(.rowMajor([weight == nil ? 1 : chunks, 2, length]), .float64)
    add(
      node, "gradient of a norm", "own", reads: [source, gradient] + (weight.map { [$0] } ?? []),
      writes: [result, partial] + others
    ) { memory in
      nonisolated(unsafe) let (x, g, to) = (memory.floats(source), memory.floats(gradient), memory.floats(result))
      nonisolated(unsafe) let factors = weight.map { memory.floats($0) }
      nonisolated(unsafe) let sums = memory.pointer(partial).assumingMemoryBound(to: Double.self)
      nonisolated(unsafe) let outcomes = others.map { memory.floats($0) }
      let hasWeight = factors != nil
      return {
        Parallel.forEach(chunks) { index in
          let (first, count) = (index * chunk, min(chunk, rows - index * chunk))
          let own = hasWeight ? sums + index * 2 * length : nil
          own?.update(repeating: 0, count: 2 * length)
          mk_norm_rows_gradient(
            to + first * length, g + first * length, x + first * length, count, length, eps, isCentered, factors, own,
            own.map { $0 + length })
        }
        for (place, outcome) in outcomes.enumerated() {
          for column in 0..<length {
            var sum = 0.0
            for index in 0..<chunks { sum += sums[(index * 2 + place) * length + column] }
            outcome[column] = Float(sum)
          }
        }
      }
    }
  }
}

/// What the windows of a convolution over few pixels cover, but for the elements of the kernel that always lie outside.
private struct Patches {
  /// Windows of the whole batch.
  let rows: Int
  /// Elements of the kernel that reach a pixel, times channels.
  let width: Int
  private let channels: Int
  /// Where those elements stand in the kernel, and how many there are in all.
  private let elements: [Int]
  private let kernelSize: Int
  /// For each window of a picture and each of the elements the pixel; negative outside.
  private let pixels: [[Int]]
  private let pictureSize: Int

  /// Nil for what is no small picture.
  init?(_ geometry: ConvolutionGeometry, input: [Int], weight: [Int], output: [Int]) {
    guard input.count == 4 else { return nil }
    let (height, rowSize) = (input[2], input[3])
    func source(_ index: Int, _ element: Int, _ axis: Int) -> Int {
      index * geometry.stride[axis] - geometry.padding[axis].before + element * geometry.dilation[axis]
    }
    var pixels = [[Int]](repeating: [], count: output[2] * output[3])
    var elements: [Int] = []
    for row in 0..<weight[2] {
      for column in 0..<weight[3] {
        let reached = pixels.indices.map { position -> Int in
          let (y, x) = (source(position / output[3], row, 0), source(position % output[3], column, 1))
          return 0..<height ~= y && 0..<rowSize ~= x ? y * rowSize + x : -1
        }
        guard reached.contains(where: { $0 >= 0 }) else { continue }
        elements.append(row * weight[3] + column)
        for (position, pixel) in reached.enumerated() { pixels[position].append(pixel) }
      }
    }
    (self.pixels, self.elements, kernelSize) = (pixels, elements, weight[2] * weight[3])
    (channels, pictureSize, rows) = (input[1], height * rowSize * input[1], input[0] * pixels.count)
    width = elements.count * channels
    guard width > 0, rows * width <= 1 << 26 else { return nil }
  }

  func gather(_ source: UnsafePointer<Float>, _ columns: UnsafeMutablePointer<Float>, _ rows: Range<Int>) {
    for row in rows {
      let picture = source + row / pixels.count * pictureSize
      var target = columns + row * width
      for pixel in pixels[row % pixels.count] {
        if pixel < 0 {
          target.update(repeating: 0, count: channels)
        } else {
          target.update(from: picture + pixel * channels, count: channels)
        }
        target += channels
      }
    }
  }

  /// From [outputs, elements, channels] to [outputs, channels, kernel…].
  func spread(_ sums: UnsafePointer<Float>, _ target: UnsafeMutablePointer<Float>, _ outputs: Range<Int>) {
    for output in outputs {
      let line = target + output * channels * kernelSize
      if elements.count < kernelSize { line.update(repeating: 0, count: channels * kernelSize) }
      for (place, element) in elements.enumerated() {
        let from = sums + output * width + place * channels
        for channel in 0..<channels { line[channel * kernelSize + element] = from[channel] }
      }
    }
  }
}

extension ConvolutionGeometry {
  /// Whether it takes single pixels, and not all.
  fileprivate func skipsPixels(_ weightShape: [Int]) -> Bool {
    !isTransposed && weightShape.dropFirst(2).allSatisfy { $0 == 1 } && stride.contains { $0 > 1 }
      && padding.allSatisfy { $0 == Margin(0) }
  }
}

/// What the kernels call the derivative of a function.
private struct DerivativeKernel {
  let kind: mk_derivative
  var a: Float = 0
  var b: Float = 0

  private init(_ kind: mk_derivative, _ a: Double = 0, _ b: Double = 0) {
    (self.kind, self.a, self.b) = (kind, Float(a), Float(b))
  }

  /// Nil for what has no kernel.
  init?(_ unary: Unary) {
    switch unary {
    case .abs: self.init(MK_D_ABS)
    case .clip(let minimum, let maximum): self.init(MK_D_CLIP, minimum ?? -.infinity, maximum ?? .infinity)
    case .elu(let alpha): self.init(MK_D_ELU, alpha)
    case .exp: self.init(MK_D_EXP)
    case .gelu(let isApproximate): self.init(isApproximate ? MK_D_TANH_GELU : MK_D_GELU)
    case .hardsigmoid: self.init(MK_D_HARDSIGMOID)
    case .hardswish: self.init(MK_D_HARDSWISH)
    case .leakyReLU(let slope): self.init(MK_D_LEAKY_RELU, slope)
    case .log: self.init(MK_D_LOG)
    case .logSigmoid: self.init(MK_D_LOG_SIGMOID)
    case .mish: self.init(MK_D_MISH)
    case .reciprocal: self.init(MK_D_RECIPROCAL)
    case .relu: self.init(MK_D_RELU)
    case .rsqrt: self.init(MK_D_RSQRT)
    case .sigmoid: self.init(MK_D_SIGMOID)
    case .silu: self.init(MK_D_SILU)
    case .softplus(let beta, let threshold): self.init(MK_D_SOFTPLUS, beta, threshold)
    case .sqrt: self.init(MK_D_SQRT)
    case .square: self.init(MK_D_SQUARE)
    case .tanh: self.init(MK_D_TANH)
    default: return nil
    }
  }
}
