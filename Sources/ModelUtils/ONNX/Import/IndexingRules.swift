import ModelCore
import ModelGraph

/// Elements at places.
extension NodeRules {
  static let indexing: [String: Rule] = [
    "Gather": { call in
      let x = try call.operand(0)
      let axis = try call.axis(call.int("axis", 0), x.rank)
      return [try call.emit(.gather(axis: axis, batchAxes: 0), x, call.operand(1))]
    },
    "GatherElements": { call in
      let (x, places) = (try call.operand(0), try call.operand(1))
      let flat = try call.flatPlaces(places, along: call.axis(call.int("axis", 0), x.rank), of: x.shape)
      return [try call.emit(.gather(axis: 0, batchAxes: 0), call.reshape(x, [x.count]), flat)]
    },
    "GatherND": { call in
      let (x, places, batch) = (try call.operand(0), try call.operand(1), try call.int("batch_dims", 0))
      let (rows, flat) = try call.rowPlaces(places, of: x.shape, batch: batch)
      return [
        try call.reshape(
          call.emit(.gather(axis: 0, batchAxes: 0), call.reshape(x, rows), flat),
          Array(places.shape.dropLast()) + x.shape.dropFirst(batch + places.shape[places.rank - 1]))
      ]
    },
    "ScatterND": { call in
      let (x, places) = (try call.operand(0), try call.operand(1))
      let (rows, flat) = try call.rowPlaces(places, of: x.shape, batch: 0)
      let updates = try call.reshape(call.operand(2), [flat.count, rows[1]])
      return [try call.reshape(call.scattered(call.reshape(x, rows), flat, updates), x.shape)]
    },
    "ScatterElements": { call in [try call.scatteredElements()] },
    "Scatter": { call in [try call.scatteredElements()] },
    "OneHot": { call in
      let (places, values) = (try call.operand(0), try call.operand(2))
      guard let depth = try call.integers(1)?.first, (0...1 << 31).contains(depth), values.count == 2 else {
        throw ModelError(.mismatch, "has no depth, or not two values")
      }
      let axis = try call.axis(call.int("axis", -1), places.rank + 1)
      var shape = [Int](repeating: 1, count: places.rank + 1)
      shape[axis] = depth
      let whole = try call.convert(places, .int64)
      let counted = try call.wrapped(whole, depth)
      let equal = try call.compare(.equal, call.unsqueeze(counted, axis), call.reshape(call.range(depth), shape))
      let pair = try call.all(.split(axis: 0, .equal(2)), [call.reshape(values, [2])])
      return [try call.emit(.select, equal, call.reshape(pair[1], []), call.reshape(pair[0], []))]
    },
    "NonZero": { call in
      let x = try call.operand(0)
      guard let tensor = x.tensor, tensor.count <= ONNXTracer.foldingLimit else {
        throw Unsizable("its size depends on what is computed")
      }
      let strides = Tensor.contiguousStrides(x.shape)
      let found = try tensor.doubles().enumerated().filter { $0.element != 0 }.map(\.offset)
      let places = zip(strides, x.shape).flatMap { stride, length in found.map { $0 / stride % length } }
      return [try call.constant(places, [x.rank, found.count])]
    },
    "Compress": { call in
      var x = try call.operand(0)
      guard let chosen = try call.numbers(1) else { throw ModelError(.malformed, "has no input 1") }
      if !call.has("axis") { x = try call.reshape(x, [x.count]) }
      let axis = try call.axis(call.int("axis", 0), x.rank)
      let places = chosen.indices.filter { chosen[$0] != 0 }
      return [try call.emit(.gather(axis: axis, batchAxes: 0), x, call.constant(places))]
    },
    "ReverseSequence": { call in
      let x = try call.operand(0)
      let (time, batch) = (try call.int("time_axis", 0), try call.int("batch_axis", 1))
      guard x.rank >= 2, let lengths = try call.integers(1), Set([time, batch]) == [0, 1],
        lengths.count == x.shape[batch], lengths.allSatisfy({ (0...x.shape[time]).contains($0) }),
        x.shape[0] * x.shape[1] <= ONNXTracer.foldingLimit
      else { throw ModelError(.mismatch, "has lengths that do not fit \(x.shape)") }
      let (steps, entries) = (x.shape[time], x.shape[batch])
      let places = (0..<x.shape[0] * x.shape[1]).map { index in
        let (first, second) = (index / x.shape[1], index % x.shape[1])
        let (step, entry) = time == 0 ? (first, second) : (second, first)
        let source = step < lengths[entry] ? lengths[entry] - 1 - step : step
        return time == 0 ? source * entries + entry : entry * steps + source
      }
      let rows = try call.reshape(x, [x.shape[0] * x.shape[1]] + x.shape.dropFirst(2))
      return [try call.reshape(call.emit(.gather(axis: 0, batchAxes: 0), rows, call.constant(places)), x.shape)]
    },
  ]
}

extension NodeCall {
  /// Places below 0 counted from the end.
  func wrapped(_ places: Operand, _ length: Int) throws -> Operand {
    let places = try convert(places, .int64)
    if let tensor = places.tensor, try tensor.integers().allSatisfy({ $0 >= 0 }) { return places }
    let size = try constant([length], [])
    return try emit(
      .select, compare(.less, places, constant([0], [])), binary(.add, places, size), places)
  }

  /// For places along an axis, whose other axes stand for themselves, where that is in a tensor laid out in a row.
  func flatPlaces(_ places: Operand, along axis: Int, of shape: [Int]) throws -> Operand {
    guard places.rank == shape.count, places.count <= 1 << 31 else {
      throw ModelError(.mismatch, "has places \(places.shape) for \(shape)")
    }
    let strides = Tensor.contiguousStrides(shape)
    var flat = try binary(.multiply, wrapped(places, shape[axis]), constant([strides[axis]], []))
    for other in shape.indices where other != axis {
      guard places.shape[other] <= shape[other] else {
        throw ModelError(.mismatch, "has places \(places.shape) for \(shape)")
      }
      var lengths = [Int](repeating: 1, count: shape.count)
      lengths[other] = places.shape[other]
      let steps = try counted(places.shape[other]) { $0 * strides[other] }
      flat = try binary(.add, flat, constant(steps, lengths))
    }
    return flat
  }

  /// For places […, n] of the axes from `batch` on, the tensor as rows behind them and which of those are meant.
  func rowPlaces(_ places: Operand, of shape: [Int], batch: Int) throws -> (rows: [Int], places: Operand) {
    guard let depth = places.shape.last, (0...shape.count).contains(batch), depth >= 1, batch + depth <= shape.count,
      places.rank > batch, places.shape.prefix(batch) == shape.prefix(batch)
    else { throw ModelError(.mismatch, "has places \(places.shape) for \(shape)") }
    let lengths = Array(shape[batch..<batch + depth])
    let strides = Tensor.contiguousStrides(lengths)
    var flat: Operand?
    for (index, (length, stride)) in zip(lengths, strides).enumerated() {
      let column = try slice(convert(places, .int64), places.rank - 1, index, index + 1)
      let place = try binary(
        .multiply, wrapped(reshape(column, places.shape.dropLast()), length), constant([stride], []))
      flat = try flat.map { try binary(.add, $0, place) } ?? place
    }
    guard var flat else { throw ModelError(.mismatch, "has places \(places.shape) for \(shape)") }
    let (entries, size) = (try product(shape[..<batch]), try product(lengths))
    if entries > 1 {
      let firsts = try constant(counted(entries) { $0 * size }, [entries, 1])
      flat = try reshape(binary(.add, reshape(flat, [entries, flat.count / entries]), firsts), flat.shape)
    }
    return ([try product([entries, size]), try product(shape[(batch + depth)...])], try reshape(flat, [flat.count]))
  }

  func scatteredElements() throws -> Operand {
    let (x, places, updates) = (try operand(0), try operand(1), try operand(2))
    guard updates.shape == places.shape else {
      throw ModelError(.mismatch, "has \(updates.shape) elements for places \(places.shape)")
    }
    let flat = try flatPlaces(places, along: axis(int("axis", 0), x.rank), of: x.shape)
    let result = try scattered(
      reshape(x, [x.count, 1]), reshape(flat, [flat.count]), reshape(updates, [updates.count, 1]))
    return try reshape(result, x.shape)
  }

  /// Rows put in the place of others, or combined with them.
  func scattered(_ rows: Operand, _ places: Operand, _ updates: Operand) throws -> Operand {
    guard let reduction = ScatterReduction(rawValue: try text("reduction", "none")) else {
      throw ModelError(.unsupported, "combines elements in a way that is not known")
    }
    // Where the places are known it is a choice among the rows and the updates; the last of several counts.
    if reduction == .none, let known = places.tensor, rows.shape[0] + places.count <= ONNXTracer.foldingLimit {
      var sources = Array(0..<rows.shape[0])
      for (index, place) in try known.integers().enumerated() {
        guard sources.indices.contains(place) else {
          throw ModelError(.mismatch, "place \(place) is none of \(sources.count)")
        }
        sources[place] = rows.shape[0] + index
      }
      let both = try all(.concatenate(axis: 0), [rows, updates])[0]
      return try emit(.gather(axis: 0, batchAxes: 0), both, constant(sources))
    }
    return try emit(.scatter(reduction), rows, places, updates)
  }
}
