import CEngine
import CKernels
import ModelCore
import ModelGraph

extension Compiler {
  mutating func pool(_ pool: Pool, _ node: Graph.Node) throws {
    let (input, shape) = (types[node.operands[0]].shape, types[node.results[0]].shape)
    guard try !libraryPool(pool, node) else { return }
    let divisor: WindowJob.Divisor =
      pool.divisor.map { .fixed($0) } ?? (pool.countsPadding ? .paddedCount : .count)
    try windows(pool.reaches(input, shape), pool.kind == .max ? nil : divisor, node)
  }

  /// The gradient of a pool's input.
  mutating func poolGradient(_ pool: Pool, _ node: Graph.Node) throws {
    let divisor: WindowJob.Divisor =
      pool.divisor.map { .fixed($0) } ?? (pool.countsPadding ? .paddedCount : .count)
    try windowGradients(
      pool.reaches(types[node.operands[0]].shape, types[node.operands[2]].shape), pool.kind == .max ? nil : divisor,
      node)
  }

  mutating func adaptivePoolGradient(_ pool: AdaptivePool, _ node: Graph.Node) throws {
    try windowGradients(
      pool.reaches(types[node.operands[0]].shape, types[node.operands[2]].shape), pool.kind == .max ? nil : .count, node
    )
  }

  private mutating func windowGradients(
    _ axes: [[WindowJob.Reach]], _ divisor: WindowJob.Divisor?, _ node: Graph.Node
  ) throws {
    let (gradient, count) = try pictures(node.operands[2], axes: axes.count)
    let shape = types[node.operands[0]].shape
    let layout = Layout.channelsLast([count.batches, count.channels] + shape.suffix(axes.count))
    // A mean's input and result are not read.
    let given = try divisor == nil ? node.operands.prefix(2).map { try pictures($0, axes: axes.count).0 } : []
    let result = allocate(layout, .float32)
    set(node.results[0], result.with(restoredPictures(layout, shape, axes: axes.count)))
    let strides = Array(layout.strides.dropFirst(2))
    add(node, "gradient of a pool", "own", reads: [gradient] + given, writes: [result]) { memory in
      let job = WindowGradientJob(
        axes: axes, divisor: divisor, batches: count.batches, channels: count.channels, picture: layout.strides[0],
        strides: strides, gradient: memory.floats(gradient), source: given.first.map { memory.floats($0) },
        result: given.last.map { memory.floats($0) }, to: memory.floats(result), count: layout.count)
      return { job.run() }
    }
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
    try windows(pool.reaches(input, shape), pool.kind == .max ? nil : .count, node)
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

extension Pool {
  /// For each axis and output index what the window covers.
  fileprivate func reaches(_ input: [Int], _ output: [Int]) -> [[WindowJob.Reach]] {
    let rank = kernelSize.count
    return (0..<rank).map { axis in
      let (size, padding) = (input[input.count - rank + axis], self.padding[axis])
      let (kernel, dilation) = (kernelSize[axis], self.dilation[axis])
      return (0..<output[output.count - rank + axis]).map { index in
        let start = index * stride[axis] - padding
        let before = start < 0 ? (-start + dilation - 1) / dilation : 0
        let inside = max(0, min(kernel, (size - start + dilation - 1) / dilation) - before)
        let padded = min(kernel, max(0, (size + padding - start + dilation - 1) / dilation))
        return WindowJob.Reach(first: start + before * dilation, count: inside, step: dilation, padded: padded)
      }
    }
  }
}

extension AdaptivePool {
  fileprivate func reaches(_ input: [Int], _ output: [Int]) -> [[WindowJob.Reach]] {
    zip(input, output).suffix(outputSize.count).map { size, length in
      (0..<length).map { index in
        let first = index * size / length
        let count = ((index + 1) * size + length - 1) / length - first
        return WindowJob.Reach(first: first, count: count, step: 1, padded: count)
      }
    }
  }
}

/// What windows give back to the pixels that they were made of.
private struct WindowGradientJob: @unchecked Sendable {
  let axes: [[WindowJob.Reach]]
  let divisor: WindowJob.Divisor?
  let batches: Int
  let channels: Int
  let picture: Int
  let strides: [Int]
  let gradient: UnsafeMutablePointer<Float>
  let source: UnsafeMutablePointer<Float>?
  let result: UnsafeMutablePointer<Float>?
  let to: UnsafeMutablePointer<Float>
  let count: Int

  func run() {
    // Windows overlap, so that a part of the channels of one picture is what one thread takes.
    let parts = max(1, min(channels / 16, (4 + batches - 1) / batches))
    Parallel.forEach(batches * parts) { index in
      let (batch, part) = (index / parts, index % parts)
      let first = channels * part / parts
      run(batch, first, channels * (part + 1) / parts - first)
    }
  }

  private func run(_ batch: Int, _ first: Int, _ length: Int) {
    let start = batch * picture
    for pixel in 0..<picture / max(channels, 1) {
      (to + start + pixel * channels + first).update(repeating: 0, count: length)
    }
    let windows = axes.reduce(1) { $0 * $1.count }
    var places: [Int] = []
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: max(length, 1)) { taken in
      for position in 0..<windows {
        let divisor = fill(&places, position)
        let target = (batch * windows + position) * channels + first
        mk_window_gradient(
          to + start + first, gradient + target, source.map { $0 + start + first }, result.map { $0 + target },
          taken.baseAddress, length, places, places.count, Float(1 / Double(divisor)))
      }
    }
  }

  /// The places of a window, and what its sum is divided by.
  private func fill(_ places: inout [Int], _ position: Int) -> Int {
    places.removeAll(keepingCapacity: true)
    places.append(0)
    var (rest, padded) = (position, 1)
    for axis in axes.indices.reversed() {
      let reach = axes[axis][rest % axes[axis].count]
      rest /= axes[axis].count
      padded *= reach.padded
      // Row by row, as the first of equal ones counts.
      let inner = places
      places.removeAll(keepingCapacity: true)
      for element in 0..<reach.count {
        for place in inner { places.append(place + (reach.first + element * reach.step) * strides[axis]) }
      }
    }
    return switch divisor {
    case nil: 1
    case .fixed(let divisor): divisor
    case .count: max(places.count, 1)
    case .paddedCount: max(padded, 1)
    }
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
    // A window without elements has the mean 0.
    let number: Int =
      switch divisor {
      case nil: 1
      case .fixed(let divisor): divisor
      case .count: max(window.reduce(1) { $0 * $1.count }, 1)
      case .paddedCount: max(window.reduce(1) { $0 * $1.padded }, 1)
      }
    let factor = 1 / Double(number)
    for channel in 0..<channels { target[channel] = Float(totals[channel] * factor) }
  }
}
