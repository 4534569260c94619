import Foundation
import ModelCore
import ModelTraining

/// What the scripts in `Goldens` wrote.
func golden(_ name: String) throws -> [String: Any] {
  let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Goldens")
  let data = try Data(contentsOf: folder.appendingPathComponent(name))
  return try JSONSerialization.jsonObject(with: data) as? [String: Any] ?? [:]
}

/// Elements of the bytes that hexadecimal digits stand for.
func elements<Element: BitwiseCopyable>(_ hex: String, as type: Element.Type) -> [Element] {
  var bytes: [UInt8] = []
  var rest = hex[...]
  while !rest.isEmpty {
    bytes.append(UInt8(rest.prefix(2), radix: 16) ?? 0)
    rest = rest.dropFirst(2)
  }
  return bytes.withUnsafeBytes { raw in
    (0..<raw.count / MemoryLayout<Element>.stride).map {
      raw.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Element>.stride, as: type)
    }
  }
}

/// A rule with torch's names of options.
func rule(_ name: String, _ options: [String: Any], learningRate: Double) -> OptimizerRule {
  func number(_ key: String, _ missing: Double) -> Double { (options[key] as? NSNumber)?.doubleValue ?? missing }
  func flag(_ key: String) -> Bool { options[key] as? Bool ?? false }
  switch name {
  case "SGD":
    return .sgd(
      SGD(
        learningRate: learningRate, momentum: number("momentum", 0), dampening: number("dampening", 0),
        weightDecay: number("weight_decay", 0), nesterov: flag("nesterov"), maximize: flag("maximize")))
  case "RMSprop":
    return .rmsprop(
      RMSprop(
        learningRate: learningRate, alpha: number("alpha", 0.99), eps: number("eps", 1e-8),
        weightDecay: number("weight_decay", 0), momentum: number("momentum", 0), centered: flag("centered"),
        maximize: flag("maximize")))
  default:
    let betas = (options["betas"] as? [NSNumber])?.map(\.doubleValue) ?? [0.9, 0.999]
    return .adam(
      Adam(
        learningRate: learningRate, beta1: betas[0], beta2: betas[1], eps: number("eps", 1e-8),
        weightDecay: number("weight_decay", name == "AdamW" ? 0.01 : 0), amsgrad: flag("amsgrad"),
        decoupledWeightDecay: name == "AdamW", maximize: flag("maximize")))
  }
}

/// Parameters, gradients and averages in memory of their own.
final class TrainedMemory<Scalar: OptimizedScalar> {
  let names: [String]
  let parameters, gradients, averages: [UnsafeMutableBufferPointer<Scalar>]

  init(_ values: [(name: String, values: [Scalar])]) {
    func copy(_ values: [Scalar]) -> UnsafeMutableBufferPointer<Scalar> {
      let buffer = UnsafeMutableBufferPointer<Scalar>.allocate(capacity: values.count)
      _ = buffer.initialize(from: values)
      return buffer
    }
    names = values.map(\.name)
    parameters = values.map { copy($0.values) }
    gradients = values.map { copy($0.values.map { _ in 0 }) }
    averages = values.map { copy($0.values) }
  }

  func setGradient(_ index: Int, _ values: [Scalar]) { _ = gradients[index].update(from: values) }

  /// - Parameter without: the parameters that have no gradient.
  func memory(averaging: Bool = false, without: Set<String> = []) -> [ParameterMemory<Scalar>] {
    names.indices.map {
      ParameterMemory(
        names[$0], parameters[$0], gradient: without.contains(names[$0]) ? nil : gradients[$0],
        average: averaging ? averages[$0] : nil)
    }
  }

  deinit { for buffer in parameters + gradients + averages { buffer.deallocate() } }
}
