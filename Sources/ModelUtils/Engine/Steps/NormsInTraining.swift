import CKernels
import ModelCore
import ModelGraph

/// Rows of channels that lie side by side: [batch, channels, …] with the channels innermost.
private struct Rows {
  let count: Int
  let channels: Int

  init(_ shape: [Int]) {
    channels = shape[1]
    count = shape.reduce(1, *) / max(channels, 1)
  }

  /// Rows that one thread takes at a time: their number depends on the sizes alone, so that sums do not depend on the
  /// threads.
  var chunk: Int { max(64, (1 << 15) / max(channels, 1) / 64 * 64) }
  var chunks: Int { (count + chunk - 1) / chunk }

  func range(_ index: Int) -> (first: Int, count: Int) {
    (index * chunk, min(chunk, count - index * chunk))
  }

  /// A channel's two sums over all chunks, of [chunks, 2, channels].
  func sums(_ totals: UnsafePointer<Double>, _ channel: Int) -> (Double, Double) {
    var (first, second) = (0.0, 0.0)
    for chunk in 0..<chunks {
      first += totals[chunk * 2 * channels + channel]
      second += totals[(chunk * 2 + 1) * channels + channel]
    }
    return (first, second)
  }

  /// Adds up, over all ranks, two lines of sums of channels and the number of rows.
  func together(_ first: [Double], _ second: [Double], _ ranks: RankExchange) throws -> ([Double], [Double], Double) {
    let all = try ranks.communicator.sum(first + second + [Double(count)], timeout: ranks.timeout)
    return (Array(all[..<channels]), Array(all[channels..<2 * channels]), all[2 * channels])
  }

  func forEachChunk(_ body: @Sendable (_ index: Int, _ first: Int, _ count: Int) -> Void) {
    if chunks == 1 { return body(0, 0, count) }
    Parallel.forEach(chunks) { index in
      let (first, count) = range(index)
      body(index, first, count)
    }
  }
}

/// The mean and the variance of each channel, over this rank's rows or those of all ranks.
private struct ChannelMoments {
  /// How many rows there are.
  let number: Double
  private var sums: [Double] = []
  private var squares: [Double] = []
  private var pivots: [Double] = []

  /// - Parameters:
  ///   - totals: sums of differences from `pivots` and of their squares, of [chunks, 2, channels].
  ///   - common: numbers near the means that all ranks have.
  init(
    _ rows: Rows, _ totals: UnsafePointer<Double>, pivots own: UnsafePointer<Float>, common: UnsafePointer<Float>,
    _ ranks: RankExchange?
  ) throws {
    var count = Double(rows.count)
    for channel in 0..<rows.channels {
      let (sum, square) = rows.sums(totals, channel)
      sums.append(sum)
      squares.append(square)
      pivots.append(Double(own[channel]))
    }
    if let ranks {
      for channel in 0..<rows.channels {
        let shift = pivots[channel] - Double(common[channel])
        squares[channel] += shift * (2 * sums[channel] + shift * count)
        sums[channel] += shift * count
        pivots[channel] = Double(common[channel])
      }
      (sums, squares, count) = try rows.together(sums, squares, ranks)
    }
    number = count
  }

  subscript(channel: Int) -> (mean: Double, variance: Double) {
    let shifted = sums[channel] / number
    let square = squares[channel]
    return (pivots[channel] + shifted, max(square / number - shifted * shifted, square.isNaN ? .nan : 0))
  }
}

extension Compiler {
  /// A value of [batch, channels, …] whose channels lie side by side in rows that are evenly spaced.
  private mutating func rows(_ value: Graph.Value) throws -> (placed: Placed, row: Int) {
    let placed = try place(value)
    let layout = placed.layout
    let wanted = Layout.channelsLast(layout.shape)
    var row = 0
    // A part of wider rows, such as a slice of channels.
    if layout.strides[1] == 1 || layout.shape[1] == 1 {
      let pixels = [0] + Array(2..<layout.rank)
      var expected: Int?
      var isEven = true
      for axis in pixels.reversed() where layout.shape[axis] != 1 {
        if let step = expected, layout.strides[axis] != step { isEven = false }
        if expected == nil { row = layout.strides[axis] }
        expected = layout.strides[axis] * layout.shape[axis]
      }
      if isEven, row >= layout.shape[1] || expected == nil { return (placed, max(row, layout.shape[1])) }
    }
    return (try dense(placed, as: wanted), layout.shape[1])
  }

  /// Batch statistics, the running ones moved by them, and the input normalised with what is fused behind it.
  mutating func batchNormInTraining(_ momentum: Double?, _ eps: Double, _ node: Graph.Node, _ index: Int) throws {
    let fused = fusedNorms.forward[index]
    let shape = types[node.operands[0]].shape
    let rows = Rows(shape)
    let channels = rows.channels
    let (source, row) = try self.rows(node.operands[0])
    let given = try node.operands.dropFirst().map { try rowMajor($0) }
    let addend = try fused?.addend.map { try self.rows($0) }
    let result = allocate(.channelsLast(shape), for: fused?.result ?? node.results[0])
    let statistics = node.results.dropFirst().map { allocate(.rowMajor(types[$0].shape), for: $0) }
    let factors = try scratch(.rowMajor([2, channels]))
    let partial = try scratch(.rowMajor([rows.chunks, 2, channels]), .float64)
    let counter = node.operands.count > 5 ? given[4] : nil
    guard momentum != nil || counter != nil else {
      throw ModelError(
        .missing, "a batch norm whose momentum is None needs num_batches_tracked, which the graph does not have")
    }
    let (activation, slope, addsBefore) = (
      fused?.activation ?? MK_NO_ACTIVATION, fused?.slope ?? 0, fused?.addsBefore ?? false
    )
    add(
      node, fused == nil ? "batch norm" : "batch norm and activation", "own",
      reads: [source] + given + (addend.map { [$0.placed] } ?? []), writes: [result, factors, partial] + statistics
    ) { memory in
      nonisolated(unsafe) let (from, to) = (memory.floats(source), memory.floats(result))
      nonisolated(unsafe) let (scale, totals) = (
        memory.floats(factors), memory.pointer(partial).assumingMemoryBound(to: Double.self)
      )
      nonisolated(unsafe) let shift = scale + channels
      nonisolated(unsafe) let values = given.prefix(4).map { memory.floats($0) }
      nonisolated(unsafe) let next = statistics.map { memory.floats($0) }
      nonisolated(unsafe) let batches = counter.map { (memory.pointer($0), $0.dtype) }
      nonisolated(unsafe) let added = addend.map { memory.floats($0.placed) }
      nonisolated(unsafe) let normalization = mk_normalization(
        channels: channels, scale: scale, shift: shift, activation: activation, slope: slope, adds_before: addsBefore,
        dst_row: channels, src_row: row, addend_row: addend?.row ?? 0)
      let addedRow = addend?.row ?? 0
      let ranks = memory.norms
      return {
        rows.forEachChunk { chunk, first, count in
          let sums = totals + chunk * 2 * channels
          sums.update(repeating: 0, count: 2 * channels)
          // Differences from any pixel's values lose less than the values themselves.
          mk_channel_moments(sums, sums + channels, from + first * row, count, channels, row, from)
        }
        var step = momentum ?? 0
        if momentum == nil, let (pointer, dtype) = batches {
          Double.load(dtype, pointer, 1, &step, 1)
          step = 1 / (step + 1)
        }
        let moments = try ChannelMoments(rows, totals, pivots: from, common: values[2], ranks)
        let number = moments.number
        for channel in 0..<channels {
          let (mean, variance) = moments[channel]
          let (oldMean, oldVariance) = (Double(values[2][channel]), Double(values[3][channel]))
          let inverse = 1 / (variance + eps).squareRoot()
          next[0][channel] = Float(oldMean + step * (mean - oldMean))
          next[1][channel] = Float(oldVariance + step * (variance * number / (number - 1) - oldVariance))
          next[2][channel] = Float(mean)
          next[3][channel] = Float(inverse)
          let factor = Double(values[0][channel]) * inverse
          scale[channel] = Float(factor)
          shift[channel] = Float(Double(values[1][channel]) - mean * factor)
        }
        rows.forEachChunk { _, first, count in
          var job = normalization
          mk_normalize_channels(
            &job, to + first * channels, from + first * row, added.map { $0 + first * addedRow }, count)
        }
      }
    }
  }

  /// The gradients of input, weight and bias, with the activation's fused before them.
  mutating func batchNormGradients(_ node: Graph.Node, _ index: Int) throws {
    let fused = fusedNorms.backward[index]
    let shape = types[node.operands[0]].shape
    let rows = Rows(shape)
    let channels = rows.channels
    let (source, row) = try self.rows(node.operands[0])
    let statistics = try node.operands[1...3].map { try rowMajor($0) }
    // The norm's bias, which the activation's operand is found by, is an operand of the forward alone.
    let forward = graph.producer(of: node.operands[2]).map { graph.nodes[$0] }
    let bias = try forward.map { try rowMajor($0.operands[2]) } ?? statistics[1]
    let (gradient, gradientRow) = try self.rows(fused?.gradient ?? node.operands[4])
    let result = try fused?.result.map { try self.rows($0) }
    let kept = fused?.kept.map { allocate(.channelsLast(shape), for: $0) }
    let inputGradient = allocate(.channelsLast(shape), for: node.results[0])
    let others = node.results.dropFirst().map { allocate(.rowMajor([channels]), for: $0) }
    let factors = try scratch(.rowMajor([5, channels]))
    let partial = try scratch(.rowMajor([rows.chunks, 2, channels]), .float64)
    let (activation, slope) = (fused?.activation ?? MK_NO_ACTIVATION, fused?.slope ?? 0)
    add(
      node, fused == nil ? "gradient of a batch norm" : "gradient of a batch norm and activation", "own",
      reads: [source, gradient, bias] + statistics + (result.map { [$0.placed] } ?? []),
      writes: [inputGradient, factors, partial] + others + (kept.map { [$0] } ?? [])
    ) { memory in
      nonisolated(unsafe) let (from, incoming) = (memory.floats(source), memory.floats(gradient))
      nonisolated(unsafe) let to = memory.floats(inputGradient)
      nonisolated(unsafe) let values = statistics.map { memory.floats($0) }
      nonisolated(unsafe) let biases = memory.floats(bias)
      nonisolated(unsafe) let sumsOut = others.map { memory.floats($0) }
      nonisolated(unsafe) let (results, keeps) = (
        result.map { memory.floats($0.placed) }, kept.map { memory.floats($0) }
      )
      nonisolated(unsafe) let lines = memory.floats(factors)
      nonisolated(unsafe) let totals = memory.pointer(partial).assumingMemoryBound(to: Double.self)
      let resultRow = result?.row ?? 0
      let ranks = memory.norms
      nonisolated(unsafe) let base = mk_norm_gradient(
        channels: channels, mean: values[1], scale: lines, shift: lines + channels, factor: lines + 2 * channels,
        tilt: lines + 3 * channels, offset: lines + 4 * channels, activation: activation, slope: slope,
        dst_row: channels, src_row: row, gradient_row: gradientRow, result_row: resultRow, kept_row: channels)
      return {
        for channel in 0..<channels {
          let factor = Double(values[0][channel]) * Double(values[2][channel])
          lines[channel] = Float(factor)
          lines[channels + channel] = Float(Double(biases[channel]) - Double(values[1][channel]) * factor)
        }
        rows.forEachChunk { chunk, first, count in
          var job = base
          let sums = totals + chunk * 2 * channels
          sums.update(repeating: 0, count: 2 * channels)
          mk_norm_gradient_sums(
            &job, sums, sums + channels, incoming + first * gradientRow, from + first * row,
            results.map { $0 + first * resultRow }, keeps.map { $0 + first * channels }, count)
        }
        // The gradients of weight and bias are added over ranks with all others; the input's needs the sums of all here.
        var (sums, products, number) = ([Double](), [Double](), Double(rows.count))
        for channel in 0..<channels {
          let (sum, product) = rows.sums(totals, channel)
          sumsOut[0][channel] = Float(product * Double(values[2][channel]))
          sumsOut[1][channel] = Float(sum)
          sums.append(sum)
          products.append(product)
        }
        if let ranks { (sums, products, number) = try rows.together(sums, products, ranks) }
        for channel in 0..<channels {
          let (sum, product) = (sums[channel], products[channel])
          let inverse = Double(values[2][channel])
          let factor = Double(values[0][channel]) * inverse
          lines[2 * channels + channel] = Float(factor)
          lines[3 * channels + channel] = Float(-factor * inverse * inverse * product / number)
          lines[4 * channels + channel] = Float(-factor * sum / number)
        }
        rows.forEachChunk { _, first, count in
          var job = base
          let gradients = keeps.map { UnsafePointer($0 + first * channels) }
          // What was kept is the gradient behind the activation.
          if gradients != nil { (job.activation, job.gradient_row) = (MK_NO_ACTIVATION, channels) }
          mk_norm_gradient_rows(
            &job, to + first * channels, gradients ?? UnsafePointer(incoming + first * gradientRow), from + first * row,
            gradients == nil ? results.map { UnsafePointer($0 + first * resultRow) } : nil, count)
        }
      }
    }
  }
}
