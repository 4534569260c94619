import ModelCore
import ModelGraph

/// What training minimises.
extension NodeRules {
  static let losses: [String: Rule] = [
    "NegativeLogLikelihoodLoss": { call in [try call.negativeLogLikelihood(of: call.operand(0))] },
    "SoftmaxCrossEntropyLoss": { call in
      let logarithms = try call.emit(.softmax(axis: 1, isLogarithm: true), call.operand(0))
      return [try call.negativeLogLikelihood(of: logarithms), logarithms]
    },
  ]
}

extension NodeCall {
  /// The mean, the sum, or each of the negative logarithms [batch, classes, …] of the classes [batch, …] that are right,
  /// each class with a weight. A class that is ignored weighs nothing.
  fileprivate func negativeLogLikelihood(of x: Operand) throws -> Operand {
    let classes = try operand(1)
    guard x.rank >= 2, classes.shape == [x.shape[0]] + x.shape.dropFirst(2), x.shape[1] > 0 else {
      throw ModelError(.mismatch, "takes \(x.shape) with classes \(classes.shape)")
    }
    let (batch, points) = (x.shape[0], try product(x.shape.dropFirst(2)))
    var places = try reshape(convert(classes, .int64), [batch, 1, points])
    let isIgnored = try int("ignore_index").map { try compare(.equal, places, constant([$0], [])) }
    if let isIgnored { places = try emit(.select, isIgnored, constant([0], []), places) }
    let rows = [batch, x.shape[1], points]
    let flat = try flatPlaces(places, along: 1, of: rows)
    let chosen = try emit(.gather(axis: 0, batchAxes: 0), reshape(x, [x.count]), flat)
    let one = try scalar(1, x.dtype)
    var weight = try optional(2).map { weights in
      guard weights.shape == [x.shape[1]] else {
        throw ModelError(.mismatch, "has weights \(weights.shape) for \(x.shape[1]) classes")
      }
      return try emit(.gather(axis: 0, batchAxes: 0), weights, wrapped(places, x.shape[1]))
    }
    if let isIgnored { weight = try emit(.select, isIgnored, scalar(0, x.dtype), weight ?? one) }
    var loss = try unary(.negate, chosen)
    if let weight {
      loss = try binary(.multiply, loss, weight)
      // Nothing times infinity is none.
      if let isIgnored { loss = try emit(.select, isIgnored, scalar(0, x.dtype), loss) }
    }
    switch try text("reduction", "mean") {
    case "none": return try reshape(loss, classes.shape)
    case "sum": return try reduce(.sum, loss, [0, 1, 2], keepsAxes: false)
    case "mean":
      guard let weight else { return try reduce(.mean, loss, [0, 1, 2], keepsAxes: false) }
      return try binary(
        .divide, reduce(.sum, loss, [0, 1, 2], keepsAxes: false), reduce(.sum, weight, [0, 1, 2], keepsAxes: false))
    case let name: throw ModelError(.unsupported, "reduces in the mode \(name)")
    }
  }
}
