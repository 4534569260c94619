import CKernels
import ModelCore
import ModelGraph

extension Compiler {
  /// Over the last axes: `layerNorm`, and `rmsNorm` where nothing is taken off first.
  mutating func normalized(_ axes: Int, _ eps: Double, isCentered: Bool, _ node: Graph.Node) throws {
    let shape = types[node.operands[0]].shape
    let length = shape.suffix(axes).reduce(1, *)
    let source = try dense(place(node.operands[0]), as: .rowMajor(shape))
    let weights = try node.operands.dropFirst().map { try rowMajor($0) }
    let result = allocate(.rowMajor(shape), for: node.results[0])
    let rows = source.layout.count / length
    add(
      node, isCentered ? "layer norm" : "rms norm", "own", reads: [source] + weights, writes: [result]
    ) { memory in
      nonisolated(unsafe) let (from, to) = (memory.floats(source), memory.floats(result))
      nonisolated(unsafe) let weight = weights.first.map { memory.floats($0) }
      nonisolated(unsafe) let bias = weights.dropFirst().first.map { memory.floats($0) }
      return {
        Parallel.forEachRange(rows, of: length) { range in
          let start = range.lowerBound * length
          mk_normalize(to + start, from + start, range.count, length, eps, isCentered, weight, bias)
        }
      }
    }
  }

  /// Over groups of channels of [batch, channels, …]; as many groups as channels make an instance norm.
  mutating func groupNorm(_ groups: Int, _ eps: Double, _ node: Graph.Node) throws {
    let shape = types[node.operands[0]].shape
    let source = try channelwise(node.operands[0])
    let weights = try node.operands.dropFirst().map { try rowMajor($0) }
    let result = allocate(Layout.ordered(shape, source.layout.order), for: node.results[0])
    let (batches, channels) = (shape[0], shape[1])
    let factors = try scratch(.rowMajor([2, batches, channels]))
    let pixels = Pixels(source.layout)
    let affine = Walk([result.layout, source.layout, pixels.perEntry, pixels.perEntry])
    add(node, "group norm", "own", reads: [source] + weights, writes: [result, factors]) { memory in
      nonisolated(unsafe) let (from, to) = (memory.floats(source), memory.floats(result))
      nonisolated(unsafe) let scale = memory.floats(factors)
      nonisolated(unsafe) let shift = scale + batches * channels
      nonisolated(unsafe) let weight = weights.first.map { memory.floats($0) }
      nonisolated(unsafe) let bias = weights.dropFirst().first.map { memory.floats($0) }
      return {
        Parallel.forEach(batches) { batch in
          let picture = from + batch * pixels.batch
          let moments = pixels.moments(of: picture, channels: channels, groups: groups)
          for channel in 0..<channels {
            let (mean, variance) = moments[channel / (channels / groups)]
            let factor = (weight.map { Double($0[channel]) } ?? 1) / (variance + eps).squareRoot()
            scale[batch * channels + channel] = Float(factor)
            shift[batch * channels + channel] = Float((bias.map { Double($0[channel]) } ?? 0) - mean * factor)
          }
        }
        affine.forEachPlane { starts, plane in
          mk_affine(to + starts[0], from + starts[1], scale + starts[2], shift + starts[3], &plane)
        }
      }
    }
  }

  /// A batch norm by running statistics that stands alone: a factor and an addend for each channel.
  mutating func batchNorm(_ eps: Double, _ node: Graph.Node) throws {
    let shape = types[node.operands[0]].shape
    let source = try channelwise(node.operands[0])
    let given = try node.operands.dropFirst().map { try rowMajor($0) }
    let result = allocate(Layout.ordered(shape, source.layout.order), for: node.results[0])
    let channels = shape[1]
    let factors = try scratch(.rowMajor([2, channels]))
    let pixels = Pixels(source.layout)
    let affine = Walk([result.layout, source.layout, pixels.perChannel, pixels.perChannel])
    add(node, "batch norm", "own", reads: [source] + given, writes: [result, factors]) { memory in
      nonisolated(unsafe) let (from, to) = (memory.floats(source), memory.floats(result))
      nonisolated(unsafe) let scale = memory.floats(factors)
      nonisolated(unsafe) let shift = scale + channels
      nonisolated(unsafe) let values = given.prefix(4).map { memory.floats($0) }
      return {
        for channel in 0..<channels {
          let factor = Double(values[0][channel]) / (Double(values[3][channel]) + eps).squareRoot()
          scale[channel] = Float(factor)
          shift[channel] = Float(Double(values[1][channel]) - Double(values[2][channel]) * factor)
        }
        affine.forEachPlane { starts, plane in
          mk_affine(to + starts[0], from + starts[1], scale + starts[2], shift + starts[3], &plane)
        }
      }
    }
  }

  // MARK: What they take

  /// A value in row-major order, as weights are read.
  mutating func rowMajor(_ value: Graph.Value) throws -> Placed {
    let placed = try place(value)
    return try dense(placed, as: .rowMajor(placed.layout.shape))
  }

  /// Memory that one step uses by itself.
  mutating func scratch(_ layout: Layout, _ dtype: DType = .float32) throws -> Placed {
    try Storage.checkMemory(layout.count, elementSize: dtype.byteWidth ?? 1)
    return allocate(layout, dtype)
  }

  /// [batch, channels, …] in a layout in which the pixels of a channel lie evenly: row-major or channels innermost.
  private mutating func channelwise(_ value: Graph.Value) throws -> Placed {
    let placed = try place(value)
    let shape = placed.layout.shape
    return placed.layout.isDense(as: .rowMajor(shape))
      ? try dense(placed, as: .rowMajor(shape)) : try dense(placed, as: .channelsLast(shape))
  }
}

/// Where the channels of [batch, channels, …] lie.
private struct Pixels {
  let batches: Int
  let count: Int
  /// The steps from one to the next.
  let batch: Int
  let channel: Int
  let pixel: Int
  /// Layouts of numbers for each channel, and for each of each entry of the batch, repeated.
  let perChannel: Layout
  let perEntry: Layout

  /// - Parameter layout: row-major, or with the channels innermost.
  init(_ layout: Layout) {
    let shape = layout.shape
    batches = shape[0]
    count = shape.dropFirst(2).reduce(1, *)
    let isInnermost = layout.isDense(as: .channelsLast(shape))
    batch = shape[1] * count
    channel = isInnermost ? 1 : count
    pixel = isInnermost ? shape[1] : 1
    let strides = [Int](repeating: 0, count: shape.count)
    var (some, all) = (strides, strides)
    (some[1], all[0], all[1]) = (1, shape[1], 1)
    perChannel = Layout(shape: shape, strides: some)
    perEntry = Layout(shape: shape, strides: all)
  }

  /// The mean and the biased variance of each group of channels of one entry.
  func moments(of picture: UnsafePointer<Float>, channels: Int, groups: Int) -> [(mean: Double, variance: Double)] {
    let size = channels / groups
    var totals = [Double](repeating: 0, count: channels)
    mk_accumulate(MK_SUM, &totals, picture, count, channels, pixel, channel, nil)
    let means = (0..<groups).map { totals[$0 * size..<($0 + 1) * size].reduce(0, +) / Double(size * count) }
    var squares = [Double](repeating: 0, count: channels)
    let centers = (0..<channels).map { means[$0 / size] }
    mk_accumulate(MK_DEVIATIONS, &squares, picture, count, channels, pixel, channel, centers)
    return (0..<groups).map {
      (means[$0], squares[$0 * size..<($0 + 1) * size].reduce(0, +) / Double(size * count))
    }
  }
}

extension Parallel {
  /// Divides a count of things, each of so many elements, among threads.
  static func forEachRange(_ count: Int, of size: Int, _ body: @Sendable (Range<Int>) -> Void) {
    let chunks = max(1, min(count, count * size / Walk.grain, threadCount > 1 ? 4 * threadCount : 1))
    forEach(chunks) { chunk in body(chunk * count / chunks..<(chunk + 1) * count / chunks) }
  }
}
