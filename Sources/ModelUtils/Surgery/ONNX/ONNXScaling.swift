import ModelCheckpoints
import ModelCore

/// What a node does to each channel of its input: a factor and a summand.
struct ONNXScaling {
  /// One for each channel, or one for all.
  var factors: [Double]
  /// One for each channel, or one for all.
  var summands: [Double]

  /// Why a batch norm or an arithmetic node does no such thing.
  struct Refusal: Error {
    let reason: String
  }

  /// Nothing.
  init() { self.init([1], [0]) }

  private init(_ factors: [Double], _ summands: [Double]) { (self.factors, self.summands) = (factors, summands) }

  /// What another one does after this one.
  func followed(by next: ONNXScaling) -> ONNXScaling {
    func pairs(_ a: [Double], _ b: [Double], _ combine: (Double, Double) -> Double) -> [Double] {
      (0..<max(a.count, b.count)).map { combine(a[a.count == 1 ? 0 : $0], b[b.count == 1 ? 0 : $0]) }
    }
    var both = self
    both.factors = pairs(factors, next.factors, *)
    both.summands = pairs(pairs(summands, next.factors, *), next.summands, +)
    return both
  }

  /// Whether it adds anything.
  var adds: Bool { summands.contains { $0 != 0 } }

  /// What a node does to an input, channel by channel.
  /// - Parameters:
  ///   - input: the name of the value that it scales.
  ///   - rank: how many axes that has; nil where it is not known.
  ///   - axis: the axis of the channels, counted from the end.
  /// - Returns: nil for other operators.
  /// - Throws: `Refusal` for a batch norm that does more; `ModelError` for constants that cannot be read.
  init?(_ node: ONNXNode, of input: String, channels: Int, rank: Int?, axis: Int, _ scope: ONNXScope) throws {
    guard node.isStandard, node.outputs.first.map({ !$0.isEmpty }) ?? false else { return nil }
    switch node.operation {
    case "BatchNormalization": try self.init(batchNorm: node, of: input, channels: channels, scope)
    case "Mul", "Add", "Sub", "Div":
      guard node.inputs.count == 2, node.outputs.count == 1, node.inputs[0] != node.inputs[1] else { return nil }
      let position = node.inputs[0] == input ? 1 : 0
      // A constant minus or divided by the input is no scaling of it.
      guard position == 1 || ["Mul", "Add"].contains(node.operation),
        let operand = try scope.constant(node.inputs[position]), operand.dtype.isFloatingPoint,
        let values = try Self.perChannel(operand, node, channels: channels, rank: rank, axis: axis, scope)
      else { return nil }
      switch node.operation {
      case "Mul": self.init(values, [0])
      case "Div": self.init(values.map { 1 / $0 }, [0])
      case "Add": self.init([1], values)
      default: self.init([1], values.map { -$0 })
      }
      guard (factors + summands).allSatisfy(\.isFinite) else { return nil }
    default: return nil
    }
  }

  private init(batchNorm node: ONNXNode, of input: String, channels: Int, _ scope: ONNXScope) throws {
    guard node.inputs.first == input, node.inputs.count >= 5 else {
      throw Refusal(reason: "the batch norm does not take its five inputs")
    }
    guard node.outputs.dropFirst().allSatisfy(\.isEmpty) else {
      throw Refusal(reason: "the batch norm gives its statistics as well: it is in training mode")
    }
    guard node.attribute("training_mode")?.int ?? 0 == 0, scope.opset >= 7 || node.attribute("is_test")?.int == 1 else {
      throw Refusal(reason: "the batch norm is in training mode: it normalises by its batch")
    }
    guard node.attribute("spatial")?.int ?? 1 == 1 else {
      throw Refusal(reason: "the batch norm has statistics for every place, not for every channel")
    }
    let names = ["scale", "bias", "mean", "variance"]
    let all = try zip(names, node.inputs.dropFirst()).map { name, input in
      guard let tensor = try scope.constant(input) else {
        throw Refusal(
          reason: scope.overridable.contains(input)
            ? "the batch norm's \(name) is an input that callers may set"
            : "the batch norm's \(name) is computed when the model runs")
      }
      guard tensor.shape == [channels] else {
        throw Refusal(reason: "the batch norm's \(name) has the shape \(tensor.shape) for \(channels) channels")
      }
      return try tensor.doubles()
    }
    let eps = Double(node.attribute("epsilon")?.float ?? 1e-5)
    guard all[3].allSatisfy({ $0 >= 0 }) else {
      throw Refusal(reason: "the batch norm has a variance below zero or NaN")
    }
    factors = zip(all[0], all[3]).map { $0 / ($1 + eps).squareRoot() }
    summands = zip(all[1], zip(all[2], factors)).map { $0 - $1.0 * $1.1 }
    guard (factors + summands).allSatisfy(\.isFinite) else {
      throw Refusal(reason: "fused it would have weights that are no numbers")
    }
  }

  /// The elements of an operand of one element, or of one for each channel; nil where it is of another shape, or would
  /// make the result larger.
  private static func perChannel(
    _ operand: Tensor, _ node: ONNXNode, channels: Int, rank: Int?, axis: Int, _ scope: ONNXScope
  ) throws -> [Double]? {
    var shape = operand.shape
    if scope.opset < 7 {
      guard node.attribute("broadcast")?.int == 1 else { return nil }
      if let first = node.attribute("axis")?.int, operand.count > 1 {
        guard let rank, (0..<rank).contains(first), first + shape.count <= rank else { return nil }
        shape += Array(repeating: 1, count: rank - first - shape.count)
      }
    }
    guard shape.count <= rank ?? 1 else { return nil }
    if operand.count == 1 { return try operand.doubles() }
    let place = shape.count - axis
    guard shape.indices.contains(place), shape[place] == channels, operand.count == channels else { return nil }
    return try operand.doubles()
  }
}
