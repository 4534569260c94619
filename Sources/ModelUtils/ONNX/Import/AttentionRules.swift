import ModelCore
import ModelGraph

/// Attention, and what turns its queries and keys.
extension NodeRules {
  static let attentions: [String: Rule] = [
    "Attention": { call in try AttentionNode(call).lowered() },
    "RotaryEmbedding": { call in [try call.rotated()] },
  ]
}

/// ONNX's attention: queries, keys and values as [batch, heads, length, features], or as three axes with the heads side
/// by side.
struct AttentionNode {
  private let call: NodeCall
  private let isFlat: Bool
  private let queries: Operand
  private let keys: Operand
  private let values: Operand
  private let pastLength: Int

  init(_ call: NodeCall) throws {
    self.call = call
    let given = try (0..<3).map { try call.operand($0) }
    isFlat = given[0].rank == 3
    guard given.allSatisfy({ $0.rank == given[0].rank }), (3...4).contains(given[0].rank) else {
      throw ModelError(.mismatch, "takes \(given.map(\.shape))")
    }
    func headed(_ x: Operand, _ attribute: String) throws -> Operand {
      guard x.rank == 3 else { return x }
      guard let heads = try call.int(attribute), heads > 0, x.shape[2] % heads == 0 else {
        throw ModelError(.malformed, "does not say how many heads \(x.shape) has")
      }
      return try call.permute(call.reshape(x, [x.shape[0], x.shape[1], heads, x.shape[2] / heads]), [0, 2, 1, 3])
    }
    queries = try headed(given[0], "q_num_heads")
    func extended(_ x: Operand, _ past: Int) throws -> Operand {
      let x = try headed(x, "kv_num_heads")
      return try call.optional(past).map { try call.all(.concatenate(axis: 2), [$0, x])[0] } ?? x
    }
    keys = try extended(given[1], 4)
    values = try extended(given[2], 5)
    pastLength = call.optional(4).map { $0.rank == 4 ? $0.shape[2] : 0 } ?? 0
  }

  func lowered() throws -> [Operand?] {
    let mask = try self.mask()
    let (keys, values) = (try spread(self.keys), try spread(self.values))
    let scale = try call.has("scale") ? call.float("scale", 1) : 1 / Double(queries.shape[3]).squareRoot()
    let softcap = try call.float("softcap", 0)
    var (result, scores): (Operand, Operand?)
    if softcap == 0, !call.gives(3) {
      result = try call.all(.attention(scale: scale), [queries, keys, values] + (mask.map { [$0] } ?? []))[0]
      scores = nil
    } else {
      (result, scores) = try spelledOut(keys, values, mask, scale, softcap)
    }
    if isFlat {
      let (batch, length) = (result.shape[0], result.shape[2])
      result = try call.reshape(
        call.permute(result, [0, 2, 1, 3]), [batch, length, result.shape[1] * result.shape[3]])
    }
    return [result, self.keys, self.values, scores]
  }

  private func spelledOut(
    _ keys: Operand, _ values: Operand, _ mask: Operand?, _ scale: Double, _ softcap: Double
  ) throws -> (Operand, Operand) {
    let product = try call.emit(.matrixProduct, queries, call.permute(keys, [0, 1, 3, 2]))
    let raw = try call.binary(.multiply, product, call.scalar(scale, product.dtype))
    var capped = raw
    if softcap > 0 {
      let factor = try call.scalar(softcap, raw.dtype)
      capped = try call.binary(.multiply, call.unary(.tanh, call.binary(.divide, raw, factor)), factor)
    }
    var biased = capped
    if let mask {
      biased =
        try mask.dtype == .bool
        ? call.emit(.select, mask, capped, call.scalar(-.infinity, capped.dtype)) : call.binary(.add, capped, mask)
    }
    // A row whose keys are all masked gives 0.
    let largest = try call.reduce(.max, biased, [3])
    let isNothing = try call.compare(.equal, largest, call.scalar(-.infinity, largest.dtype))
    let safe = try call.emit(.select, isNothing, call.scalar(0, biased.dtype), biased)
    let weights = try call.emit(
      .select, isNothing, call.scalar(0, biased.dtype), call.emit(.softmax(axis: 3, isLogarithm: false), safe))
    let result = try call.emit(.matrixProduct, weights, values)
    switch try call.int("qk_matmul_output_mode", 0) {
    case 0: return (result, raw)
    case 1: return (result, call.opset >= 24 || softcap > 0 ? capped : biased)
    case 2: return (result, biased)
    default: return (result, weights)
    }
  }

  /// Heads of keys and values that several heads of queries share, repeated.
  private func spread(_ x: Operand) throws -> Operand {
    let (heads, wanted) = (x.shape[1], queries.shape[1])
    if heads == wanted { return x }
    guard heads > 0, wanted % heads == 0 else { throw ModelError(.mismatch, "shares \(heads) heads among \(wanted)") }
    let (batch, length, features) = (x.shape[0], x.shape[2], x.shape[3])
    let repeated = try call.expand(
      call.reshape(x, [batch, heads, 1, length, features]), [batch, heads, wanted / heads, length, features])
    return try call.reshape(repeated, [batch, wanted, length, features])
  }

  /// What is added to the scores, or which of them are kept.
  private func mask() throws -> Operand? {
    let (rows, columns) = (queries.shape[2], keys.shape[2])
    var mask = call.optional(3)
    if let given = mask, let last = given.shape.last, last < columns, last > 1 || columns == 1 || given.rank > 0 {
      if last != columns, last != 1 || rows == 0 || given.rank > 1 {
        var margins = given.shape.map { _ in Margin(0) }
        margins[given.rank - 1] = Margin(0, columns - last)
        mask = try call.emit(.pad(margins, .constant(given.dtype == .bool ? 0 : -.infinity)), given)
      }
    }
    let valid = try call.optional(6).map {
      try call.reshape(call.convert($0, .int64), [queries.shape[0], 1, 1, 1])
    }
    let places = try call.reshape(call.range(columns), [1, columns])
    let steps = try call.reshape(call.range(rows), [rows, 1])
    var allowed: [Operand] = []
    // Where a query stands among the keys.
    func standing() throws -> Operand {
      guard let valid, call.optional(4) == nil else {
        return try call.binary(.add, steps, call.constant([pastLength], []))
      }
      return try call.binary(.add, steps, call.binary(.subtract, valid, call.constant([rows], [])))
    }
    if try call.flag("is_causal") { allowed.append(try call.compare(.lessOrEqual, places, standing())) }
    let (left, right) = (try call.int("left_window_size", -1), try call.int("right_window_size", -1))
    if left >= 0 {
      let first = try call.binary(.subtract, standing(), call.constant([left], []))
      allowed.append(try call.compare(.greaterOrEqual, places, first))
    }
    if right >= 0 {
      let last = try call.binary(.add, standing(), call.constant([right], []))
      allowed.append(try call.compare(.lessOrEqual, places, last))
    }
    if let valid { allowed.append(try call.compare(.less, places, valid)) }
    if allowed.isEmpty { return mask }
    let kept = try call.folded(.and, allowed)
    guard let mask else { return kept }
    if mask.dtype == .bool { return try call.binary(.and, mask, kept) }
    return try call.emit(.select, kept, mask, call.scalar(-.infinity, mask.dtype))
  }
}

extension NodeCall {
  /// Pairs of features turned by angles that are given as cosines and sines.
  func rotated() throws -> Operand {
    let x = try operand(0)
    let isHeaded = x.rank == 4
    let heads = try isHeaded ? x.shape[1] : int("num_heads", 0)
    guard (3...4).contains(x.rank), heads > 0, isHeaded || x.shape[2] % heads == 0 else {
      throw ModelError(.mismatch, "does not say how many heads \(x.shape) has")
    }
    // [batch, length, heads, features].
    let spread =
      try isHeaded ? permute(x, [0, 2, 1, 3]) : reshape(x, [x.shape[0], x.shape[1], heads, x.shape[2] / heads])
    let features = spread.shape[3]
    let said = try int("rotary_embedding_dim", 0)
    let turned = said > 0 ? said : features
    guard turned <= features, turned % 2 == 0 else { throw ModelError(.malformed, "turns \(turned) of \(features)") }
    func angles(_ index: Int) throws -> Operand {
      var cache = try operand(index)
      if let places = optional(3) { cache = try emit(.gather(axis: 0, batchAxes: 0), cache, places) }
      guard cache.rank == 3, cache.shape[2] == turned / 2 else {
        throw ModelError(.mismatch, "has angles \(cache.shape) for \(x.shape)")
      }
      return try unsqueeze(cache, 2)
    }
    let (cosines, sines) = (try angles(1), try angles(2))
    let part = try slice(spread, 3, 0, turned)
    let isInterleaved = try flag("interleaved")
    let first = try isInterleaved ? slice(part, 3, 0, turned, 2) : slice(part, 3, 0, turned / 2)
    let second = try isInterleaved ? slice(part, 3, 1, turned, 2) : slice(part, 3, turned / 2, turned)
    let real = try binary(.subtract, binary(.multiply, cosines, first), binary(.multiply, sines, second))
    let imaginary = try binary(.add, binary(.multiply, sines, first), binary(.multiply, cosines, second))
    var result =
      try isInterleaved
      ? reshape(all(.stack(axis: 4), [real, imaginary])[0], part.shape)
      : all(.concatenate(axis: 3), [real, imaginary])[0]
    if turned < features { result = try all(.concatenate(axis: 3), [result, slice(spread, 3, turned, features)])[0] }
    return try isHeaded ? permute(result, [0, 2, 1, 3]) : reshape(result, x.shape)
  }
}
