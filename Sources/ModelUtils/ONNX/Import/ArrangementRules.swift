import ModelCore
import ModelGraph

/// What moves elements without changing them.
extension NodeRules {
  static let arrangement: [String: Rule] = [
    "Reshape": { call in [try call.reshaped()] },
    "Flatten": { call in
      let x = try call.operand(0)
      let given = try call.int("axis", 1)
      let axis = given == x.rank ? given : try call.axis(given, x.rank)
      return [try call.reshape(x, [call.product(x.shape[..<axis]), call.product(x.shape[axis...])])]
    },
    "Transpose": { call in
      let x = try call.operand(0)
      return [try call.permute(x, call.ints("perm") ?? Array((0..<x.rank).reversed()))]
    },
    "Squeeze": { call in
      let x = try call.operand(0)
      let axes = try call.axes(1, since: 13).map { try $0.map { try call.axis($0, x.rank) } }
      let gone = Set(axes ?? x.shape.indices.filter { x.shape[$0] == 1 })
      guard gone.allSatisfy({ x.shape[$0] == 1 }) else {
        throw ModelError(.mismatch, "axes \(gone.sorted()) of \(x.shape) are not of length 1")
      }
      return [try call.reshape(x, x.shape.indices.filter { !gone.contains($0) }.map { x.shape[$0] })]
    },
    "Unsqueeze": { call in
      let x = try call.operand(0)
      guard let given = try call.axes(1, since: 13) else { throw ModelError(.malformed, "says no axes") }
      let rank = x.rank + given.count
      let axes = Set(try given.map { try call.axis($0, rank) })
      guard axes.count == given.count else { throw ModelError(.malformed, "says an axis twice") }
      var rest = x.shape[...]
      return [try call.reshape(x, (0..<rank).map { axes.contains($0) ? 1 : rest.removeFirst() })]
    },
    "Expand": { call in
      let x = try call.operand(0)
      guard let wanted = try call.integers(1) else { throw ModelError(.malformed, "has no input 1") }
      return [try call.broadcast(x, wanted)]
    },
    "Tile": { call in
      let x = try call.operand(0)
      guard call.opset >= 6 else { throw Unsizable("its first edition is not known") }
      guard let repeats = try call.integers(1), repeats.count == x.rank, repeats.allSatisfy({ $0 >= 0 }) else {
        throw ModelError(.mismatch, "repeats \(x.shape) some other number of times")
      }
      if repeats.allSatisfy({ $0 == 1 }) { return [x] }
      let spread = try call.reshape(x, x.shape.flatMap { [1, $0] })
      let repeated = try call.expand(spread, zip(repeats, x.shape).flatMap { [$0, $1] })
      return [try call.reshape(repeated, zip(repeats, x.shape).map { try call.product([$0, $1]) })]
    },
    "Concat": { call in
      let parts = try call.allOperands()
      guard call.opset < 4 || call.has("axis") else { throw ModelError(.malformed, "says no axis") }
      let axis = try call.axis(call.int("axis", 1), parts[0].rank)
      return [parts.count == 1 ? parts[0] : try call.all(.concatenate(axis: axis), parts)[0]]
    },
    "Split": { call in try call.split() },
    "Slice": { call in [try call.sliced()] },
    "Pad": { call in [try call.padded()] },
    "CenterCropPad": { call in
      let x = try call.operand(0)
      let axes = try call.ints("axes")?.map { try call.axis($0, x.rank) } ?? Array(x.shape.indices)
      guard let lengths = try call.integers(1), lengths.count == axes.count else {
        throw ModelError(.malformed, "says no lengths")
      }
      var margins = x.shape.map { _ in Margin(0) }
      for (axis, length) in zip(axes, lengths) {
        guard (0...1 << 31).contains(length) else { throw ModelError(.malformed, "makes \(length) elements") }
        let added = length - x.shape[axis]
        let before = added < 0 ? -(-added / 2) : added / 2
        margins[axis] = Margin(before, added - before)
      }
      return [try call.emit(.pad(margins, .constant(0)), x)]
    },
    "DepthToSpace": { call in
      let (x, block) = (try call.operand(0), try call.int("blocksize", 0))
      guard x.rank == 4, (1...1024).contains(block), x.shape[1] % (block * block) == 0 else {
        throw ModelError(.mismatch, "cannot divide \(x.shape) by \(block)")
      }
      if try call.text("mode", "DCR") == "CRD" { return [try call.emit(.pixelShuffle(PixelShuffle(factor: block)), x)] }
      let (n, c, h, w) = (x.shape[0], x.shape[1] / (block * block), x.shape[2], x.shape[3])
      let moved = try call.permute(call.reshape(x, [n, block, block, c, h, w]), [0, 3, 4, 1, 5, 2])
      return [try call.reshape(moved, [n, c, h * block, w * block])]
    },
    "SpaceToDepth": { call in
      let (x, block) = (try call.operand(0), try call.int("blocksize", 0))
      guard x.rank == 4, (1...1024).contains(block), x.shape[2] % block == 0, x.shape[3] % block == 0 else {
        throw ModelError(.mismatch, "cannot divide \(x.shape) by \(block)")
      }
      if try call.text("mode", "DCR") == "CRD" {
        return [try call.emit(.pixelShuffle(PixelShuffle(factor: block, isInverse: true)), x)]
      }
      let (n, c, h, w) = (x.shape[0], x.shape[1], x.shape[2] / block, x.shape[3] / block)
      let moved = try call.permute(call.reshape(x, [n, c, h, block, w, block]), [0, 3, 5, 1, 2, 4])
      return [try call.reshape(moved, [n, c * block * block, h, w])]
    },
    "Trilu": { call in
      let x = try call.operand(0)
      guard x.rank >= 2 else { throw ModelError(.mismatch, "takes two axes or more, but \(x.shape) comes to it") }
      let (rows, columns) = (x.shape[x.rank - 2], x.shape[x.rank - 1])
      let (k, keepsUpper) = (try call.integers(1)?.first ?? 0, try call.flag("upper", true))
      guard try call.product([rows, columns]) <= ONNXTracer.foldingLimit else {
        throw ModelError(.limit, "is too large")
      }
      let mask = (0..<rows).flatMap { row in
        (0..<columns).map { (keepsUpper ? $0 - row >= k : $0 - row <= k) ? 1.0 : 0 }
      }
      return [try call.emit(.select, call.constant(mask, .bool, [rows, columns]), x, call.scalar(0, x.dtype))]
    },
  ]
}

extension NodeCall {
  /// A length of 0 is the input's, unless `allowzero` says otherwise; one of -1 is what is left.
  func reshaped() throws -> Operand {
    let x = try operand(0)
    guard let wanted = try opset >= 5 ? integers(1) : ints("shape") else {
      throw ModelError(.malformed, "says no shape")
    }
    let allowsZero = try flag("allowzero")
    let extents = try wanted.enumerated().map { axis, length -> Extent in
      if length == -1 { return .inferred }
      guard length == 0, !allowsZero else { return .fixed(length) }
      guard axis < x.rank else { throw ModelError(.mismatch, "takes over axis \(axis), but \(x.shape) comes to it") }
      return .fixed(x.shape[axis])
    }
    if extents == x.shape.map({ .fixed($0) }) { return x }
    return try emit(.reshape(extents), x)
  }

  /// Repeats axes of length 1 of either.
  func broadcast(_ x: Operand, _ wanted: [Int]) throws -> Operand {
    var shape = wanted
    if shape.count < x.rank { shape.insert(contentsOf: [Int](repeating: 1, count: x.rank - shape.count), at: 0) }
    for (axis, length) in zip((shape.count - x.rank)..., x.shape) where shape[axis] == 1 { shape[axis] = length }
    return try expand(x, shape)
  }

  func split() throws -> [Operand?] {
    let x = try operand(0)
    let axis = try self.axis(int("axis", 0), x.rank)
    let length = x.shape[axis]
    var sizes = try opset >= 13 ? integers(1) : ints("split")
    if sizes == nil {
      let count = try opset >= 18 ? int("num_outputs", node.outputs.count) : node.outputs.count
      guard (1...max(node.outputs.count, 1)).contains(count), opset >= 18 || length % count == 0 else {
        throw ModelError(.mismatch, "cannot make \(count) equal parts of \(length)")
      }
      let part = (length + count - 1) / count
      sizes = (0..<count).map { min(part, max(length - part * $0, 0)) }
    }
    guard let sizes, !sizes.isEmpty else { throw ModelError(.malformed, "makes no parts") }
    return sizes.count == 1 && sizes[0] == length ? [x] : try all(.split(axis: axis, .sizes(sizes)), [x])
  }

  /// From edition 10 the bounds are inputs, with steps.
  func sliced() throws -> Operand {
    var x = try operand(0)
    let isOld = opset < 10
    guard let starts = try isOld ? ints("starts") : integers(1), let ends = try isOld ? ints("ends") : integers(2)
    else {
      throw ModelError(.malformed, "says no bounds")
    }
    let axes = try (isOld ? ints("axes") : integers(3)) ?? Array(starts.indices)
    let steps = try (isOld ? nil : integers(4)) ?? starts.map { _ in 1 }
    guard starts.count == ends.count, axes.count == starts.count, steps.count == starts.count else {
      throw ModelError(.malformed, "has bounds for different numbers of axes")
    }
    for index in starts.indices {
      let axis = try self.axis(axes[index], x.rank)
      let (length, step) = (x.shape[axis], steps[index])
      func bound(_ place: Int, _ low: Int, _ high: Int) -> Int {
        min(max(place < 0 ? place &+ length : place, low), high)
      }
      if step > 0 {
        let start = bound(starts[index], 0, length)
        x = try slice(x, axis, start, max(bound(ends[index], 0, length), start), min(step, max(length, 1)))
      } else {
        guard step < 0, step > -(1 << 31) else { throw ModelError(.malformed, "steps by \(step)") }
        // An end far below 0 stays below.
        let (start, given) = (bound(starts[index], 0, length - 1), ends[index])
        let end = given < -length ? -1 : bound(given, -1, length - 1)
        let count = max((start - end - step - 1) / -step, 0)
        x = try emit(.gather(axis: axis, batchAxes: 0), x, constant(counted(count) { start + $0 * step }))
      }
    }
    return x
  }

  /// From edition 11 the margins are an input, from 18 with axes.
  func padded() throws -> Operand {
    let x = try operand(0)
    guard let pads = try opset >= 11 ? integers(1) : ints(opset == 1 ? "paddings" : "pads") else {
      throw ModelError(.malformed, "says no margins")
    }
    let axes = try (opset >= 18 ? integers(3) : nil)?.map { try axis($0, x.rank) } ?? Array(x.shape.indices)
    guard pads.count == 2 * axes.count else { throw ModelError(.malformed, "has \(pads.count) margins for \(x.shape)") }
    var margins = x.shape.map { _ in Margin(0) }
    for (index, axis) in axes.enumerated() { margins[axis] = Margin(pads[index], pads[axes.count + index]) }
    if margins.allSatisfy({ $0 == Margin(0) }) { return x }
    let mode: PadMode
    switch try text("mode", "constant") {
    case "constant":
      var value = opset < 11 ? try float("value", 0) : 0
      if opset >= 11, let filler = optional(2) {
        guard let tensor = filler.tensor, tensor.count == 1 else { throw Unsizable("fills with what is computed") }
        value = try tensor.doubles()[0]
      }
      mode = .constant(value)
    case "reflect": mode = .reflect
    case "edge": mode = .replicate
    case "wrap": mode = .circular
    case let mode: throw ModelError(.unsupported, "pads in the mode \(mode)")
    }
    return try emit(.pad(margins, mode), x)
  }
}
