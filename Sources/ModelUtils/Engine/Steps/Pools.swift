import CEngine
import CKernels
import ModelCore
import ModelGraph

extension Compiler {
  mutating func pool(_ pool: Pool, _ node: Graph.Node) throws {
    let (input, shape) = (types[node.operands[0]].shape, types[node.results[0]].shape)
    guard try !libraryPool(pool, node) else { return }
    let rank = pool.kernelSize.count
    let axes = (0..<rank).map { axis -> [WindowJob.Reach] in
      let (size, padding) = (input[input.count - rank + axis], pool.padding[axis])
      let (kernel, dilation) = (pool.kernelSize[axis], pool.dilation[axis])
      return (0..<shape[shape.count - rank + axis]).map { index in
        let start = index * pool.stride[axis] - padding
        let before = start < 0 ? (-start + dilation - 1) / dilation : 0
        let inside = max(0, min(kernel, (size - start + dilation - 1) / dilation) - before)
        let padded = min(kernel, max(0, (size + padding - start + dilation - 1) / dilation))
        return WindowJob.Reach(first: start + before * dilation, count: inside, step: dilation, padded: padded)
      }
    }
    let divisor: WindowJob.Divisor =
      pool.divisor.map { .fixed($0) } ?? (pool.countsPadding ? .paddedCount : .count)
    try windows(axes, pool.kind == .max ? nil : divisor, node)
  }

  /// Windows that share the input among the outputs, overlapping where it does not divide.
  mutating func adaptivePool(_ pool: AdaptivePool, _ node: Graph.Node) throws {
    let (input, shape) = (types[node.operands[0]].shape, types[node.results[0]].shape)
    let rank = pool.outputSize.count
    let sizes = Array(zip(input, shape).suffix(rank))
    if pool.kind == .average, sizes.allSatisfy({ $0.1 == 1 }) {
      return try reduce(.mean, Array(input.count - rank..<input.count), node)
    }
    if sizes.allSatisfy({ $0.0 % $0.1 == 0 }),
      try libraryPool(Pool(pool.kind, kernelSize: sizes.map { $0.0 / $0.1 }), node)
    {
      return
    }
    let axes = sizes.map { size, length in
      (0..<length).map { index -> WindowJob.Reach in
        let first = index * size / length
        let count = ((index + 1) * size + length - 1) / length - first
        return WindowJob.Reach(first: first, count: count, step: 1, padded: count)
      }
    }
    try windows(axes, pool.kind == .max ? nil : .count, node)
  }

  /// By oneDNN, where it has a fast pool: not with a dilation or a divisor of its own, nor for the means of windows that
  /// ceil mode lets reach beyond the padding that they count.
  private mutating func libraryPool(_ pool: Pool, _ node: Graph.Node) throws -> Bool {
    let (input, shape) = (types[node.operands[0]].shape, types[node.results[0]].shape)
    let isMean = pool.kind == .average
    guard pool.kernelSize.count == input.count - 2, input.count <= 5, pool.divisor == nil,
      pool.dilation.allSatisfy({ $0 == 1 })
    else { return false }
    var window = ce_window(pool, input: input, output: shape)
    let after = [window.after.0, window.after.1, window.after.2].prefix(pool.padding.count).map { Int($0) }
    let reachesBeyond = zip(after, pool.padding).contains { $0 > $1 }
    guard !isMean || !reachesBeyond || !pool.countsPadding || pool.padding.allSatisfy({ $0 == 0 }),
      zip(after, pool.kernelSize).allSatisfy({ $0 < $1 })
    else { return false }
    let source = try dense(stored(node.operands[0]), as: .channelsLast(input))
    let result = allocate(.channelsLast(shape), source.dtype, for: node.results[0])
    let (src, dst) = (try MemoryDescription(source), try MemoryDescription(result))
    let kind =
      !isMean ? CE_MAX_POOL : pool.countsPadding && !reachesBeyond ? CE_MEAN_WITH_PADDING : CE_MEAN_WITHOUT_PADDING
    let primitive = try Primitive("pool") { ce_pooling(&$0, kind, src.handle, dst.handle, &window) }
    add(node, "pool", primitive, [(CE_SRC, source)], [(CE_DST, result)])
    return true
  }

  /// Windows of any reach over the last axes; the largest element where there is no divisor.
  private mutating func windows(
    _ axes: [[WindowJob.Reach]], _ divisor: WindowJob.Divisor?, _ node: Graph.Node
  ) throws {
    let (pictures, count) = try self.pictures(node.operands[0], axes: axes.count)
    let shape = types[node.results[0]].shape
    let layout = Layout.channelsLast([count.batches, count.channels] + shape.suffix(axes.count))
    let result = allocate(layout, .float32)
    set(node.results[0], result.with(restoredPictures(layout, shape, axes: axes.count)))
    let strides = Array(pictures.layout.strides.dropFirst(2))
    add(node, "pool", "own", reads: [pictures], writes: [result]) { memory in
      let job = WindowJob(
        axes: axes, divisor: divisor, batches: count.batches, channels: count.channels,
        picture: pictures.layout.strides[0], strides: strides, from: memory.floats(pictures), to: memory.floats(result))
      return { job.run() }
    }
  }

  /// A value as [batch, channels, …] with the channels innermost, for what works on the last axes of any tensor: the
  /// axis before them is the channels', those before it the batch's.
  mutating func pictures(_ value: Graph.Value, axes: Int) throws -> (Placed, (batches: Int, channels: Int)) {
    let placed = try place(value)
    let shape = placed.layout.shape
    let front = shape.dropLast(axes)
    let (batches, channels) = (front.dropLast().reduce(1, *), front.last ?? 1)
    let wanted = [batches, channels] + shape.suffix(axes)
    let even =
      try placed.layout.reshaped(to: wanted).map { placed.with($0) }
      ?? dense(placed, as: .rowMajor(shape)).with(.rowMajor(wanted))
    return (try dense(even, as: .channelsLast(wanted)), (batches, channels))
  }

  /// The layout of a shape whose axes before the last ones are a batch's and one of channels.
  func restoredPictures(_ layout: Layout, _ shape: [Int], axes: Int) -> Layout {
    let front = shape.dropLast(axes)
    var strides = Array(Layout.rowMajor(Array(front.dropLast())).strides.map { $0 * layout.strides[0] })
    if !front.isEmpty { strides.append(layout.strides[1]) }
    return Layout(shape: shape, strides: strides + layout.strides.dropFirst(2), offset: layout.offset)
  }
}

/// Pools of channels that lie side by side.
private struct WindowJob: @unchecked Sendable {
  /// What a window covers of an axis: elements inside, and how many with the padding that counts.
  struct Reach {
    let first: Int
    let count: Int
    let step: Int
    let padded: Int
  }

  enum Divisor {
    case fixed(Int)
    case count, paddedCount
  }

  let axes: [[Reach]]
  let divisor: Divisor?
  let batches: Int
  let channels: Int
  let picture: Int
  let strides: [Int]
  let from: UnsafeMutablePointer<Float>
  let to: UnsafeMutablePointer<Float>

  func run() {
    let windows = axes.reduce(1) { $0 * $1.count }
    Parallel.forEachRange(batches * windows, of: channels * 8) { range in
      withUnsafeTemporaryAllocation(of: Double.self, capacity: channels) { totals in
        guard let totals = totals.baseAddress else { return }
        for index in range { pool(index / windows, index % windows, totals, to + index * channels) }
      }
    }
  }

  private func pool(
    _ batch: Int, _ position: Int, _ totals: UnsafeMutablePointer<Double>, _ target: UnsafeMutablePointer<Float>
  ) {
    var rest = position
    let window =
      axes.reversed().map { axis in
        defer { rest /= axis.count }
        return axis[rest % axis.count]
      }.reversed() as [Reach]
    let measure = divisor == nil ? MK_LARGEST : MK_SUM
    totals.update(repeating: divisor == nil ? -.infinity : 0, count: channels)
    let rows = window.dropLast().reduce(1) { $0 * $1.count }
    let last = window[window.count - 1]
    for row in 0..<rows {
      var (rest, place) = (row, batch * picture + last.first * strides[strides.count - 1])
      for axis in window.indices.dropLast().reversed() {
        place += (window[axis].first + rest % window[axis].count * window[axis].step) * strides[axis]
        rest /= window[axis].count
      }
      mk_accumulate(
        measure, totals, from + place, last.count, channels, last.step * strides[strides.count - 1], 1, nil)
    }
    let number: Int =
      switch divisor {
      case nil: 1
      case .fixed(let divisor): divisor
      case .count: window.reduce(1) { $0 * $1.count }
      case .paddedCount: window.reduce(1) { $0 * $1.padded }
      }
    // A window without elements has the mean 0.
    let factor = 1 / Double(max(number, 1))
    for channel in 0..<channels { target[channel] = Float(totals[channel] * factor) }
  }
}
