import ModelCheckpoints
import ModelCore
import ModelEngine
import ModelGraph
import ModelONNX

/// How far apart what two models compute from the same inputs is.
public struct OutputComparison: Sendable, Hashable {
  /// One output of both.
  public struct Output: Sendable, Hashable, Codable {
    /// `output.` and its place, or an ONNX model's own name.
    public let name: String
    /// The same of both.
    public let shape: [Int]
    /// The largest difference of two elements.
    public let maxAbs: Double
    /// The same in units of the first model's largest magnitude.
    public let maxRelative: Double
    /// Elements that are finite in both: what was compared.
    public let compared: Int
    /// Elements that are NaN or infinite in one of them and not the same in the other.
    public let nonFinite: Int
  }

  /// In the models' order.
  public let outputs: [Output]
  /// The relative difference up to which they count as the same.
  public let tolerance: Double

  /// The largest difference of all outputs.
  public var maxAbs: Double { outputs.map(\.maxAbs).max() ?? 0 }
  /// The largest relative difference of all outputs.
  public var maxRelative: Double { outputs.map(\.maxRelative).max() ?? 0 }
  /// Whether no output is further apart than the tolerance.
  public var holds: Bool { outputs.allSatisfy { $0.nonFinite == 0 && $0.maxRelative <= tolerance } }
}

extension Module {
  /// Runs this model and another on the same inputs, batch norms as steps of their own.
  /// - Parameters:
  ///   - inputs: what both take.
  ///   - tolerance: relative to the largest magnitude of each output of this model.
  /// - Throws: `ModelError` for classes whose forward is not known, and for outputs of other numbers or shapes.
  public func compareOutputs(
    with other: Module, inputs: [Tensor], tolerance: Double = 1e-4
  ) throws -> OutputComparison {
    let backend = CPUBackend(foldsBatchNorms: false)
    let (first, second) = (try run(inputs, on: backend), try other.run(inputs, on: backend))
    return try OutputComparison(first.indices.map { "output.\($0)" }, first, second, tolerance: tolerance)
  }

  /// Runs this model and an ONNX model, such as its export, on the same inputs.
  /// - Parameters: as for two modules; the ONNX model takes the inputs in its own order.
  /// - Throws: as for two modules, and for operators that are not known.
  public func compareOutputs(
    with other: ONNXModel, inputs: [Tensor], tolerance: Double = 1e-4
  ) throws -> OutputComparison {
    let names = other.openInputs.map(\.name)
    guard names.count == inputs.count else {
      throw ModelError(.mismatch, "takes \(names.count) inputs, not \(inputs.count)", file: other.name)
    }
    let second = try other.run(
      Dictionary(zip(names, inputs)) { first, _ in first }, on: CPUBackend(foldsBatchNorms: false))
    var first = try run(inputs, on: CPUBackend(foldsBatchNorms: false))
    if givesMoreThanIsExported { first = Array(first.prefix(second.count)) }
    return try OutputComparison(Array(second.keys), first, Array(second.values), tolerance: tolerance)
  }
}

extension ONNXModel {
  /// Runs this model and another on the same inputs, batch norms as steps of their own.
  /// - Parameters:
  ///   - tensors: what both take, by their names.
  ///   - tolerance: relative to the largest magnitude of each output of this model.
  /// - Throws: `ModelError` for operators that are not known, and for outputs of other numbers or shapes.
  public func compareOutputs(
    with other: ONNXModel, inputs tensors: [String: Tensor], tolerance: Double = 1e-4
  ) throws -> OutputComparison {
    let backend = CPUBackend(foldsBatchNorms: false)
    let (first, second) = (try run(tensors, on: backend), try other.run(tensors, on: backend))
    return try OutputComparison(Array(first.keys), Array(first.values), Array(second.values), tolerance: tolerance)
  }
}

extension OutputComparison {
  /// - Throws: `ModelError` for outputs of other numbers or shapes.
  fileprivate init(_ names: [String], _ first: [Tensor], _ second: [Tensor], tolerance: Double) throws {
    guard first.map(\.shape) == second.map(\.shape) else {
      throw ModelError(
        .mismatch, "the models give tensors of other shapes: \(first.map(\.shape)) and \(second.map(\.shape))")
    }
    outputs = try zip(names, zip(first, second)).map { try Output(name: $0, $1.0, $1.1) }
    self.tolerance = tolerance
  }
}

extension OutputComparison.Output {
  fileprivate init(name: String, _ first: Tensor, _ second: Tensor) throws {
    var (largest, difference, compared, nonFinite) = (0.0, 0.0, 0, 0)
    for (a, b) in zip(try first.doubles(), try second.doubles()) {
      if a.isFinite && b.isFinite {
        compared += 1
        largest = max(largest, abs(a))
        difference = max(difference, abs(a - b))
      } else if a != b && !(a.isNaN && b.isNaN) {
        nonFinite += 1
      }
    }
    let relative = largest > 0 ? difference / largest : difference
    self.init(
      name: name, shape: first.shape, maxAbs: difference, maxRelative: relative, compared: compared,
      nonFinite: nonFinite)
  }
}

extension OutputComparison: CustomStringConvertible {
  /// `the same within 1e-04: at most 3.8e-06 apart, relative 2.1e-07`.
  public var description: String {
    let verdict = holds ? "the same within" : "not the same within"
    let strange = outputs.reduce(0) { $0 + $1.nonFinite }
    return CFormat.string("%s %.3g: at most %.3g apart, relative %.3g", verdict, tolerance, maxAbs, maxRelative)
      + (strange == 0 ? "" : ", and \(strange) elements are not finite on one side")
      + (outputs.contains { $0.compared == 0 && !$0.shape.contains(0) } ? "; an output has no finite element" : "")
  }
}

extension OutputComparison: Encodable {
  private enum Key: String, CodingKey { case maxAbs, maxRelative, tolerance, holds, outputs }

  /// Encodes the figures of all outputs together, and each one's.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(maxAbs, forKey: .maxAbs)
    try container.encode(maxRelative, forKey: .maxRelative)
    try container.encode(tolerance, forKey: .tolerance)
    try container.encode(holds, forKey: .holds)
    try container.encode(outputs, forKey: .outputs)
  }
}
