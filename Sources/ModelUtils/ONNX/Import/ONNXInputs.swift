import ModelCheckpoints
import ModelCore
import ModelGraph

/// What a model is traced for: the sizes that its inputs leave open, and the elements of those on which sizes depend.
public struct ONNXInputs: Sendable {
  /// The shapes of inputs by name; an axis of the file's that is fixed must agree.
  public var shapes: [String: [Int]] = [:]
  /// The elements of inputs by name: they are no inputs any more, and what follows from them is computed beforehand.
  public var values: [String: Tensor] = [:]
  /// How many pictures or sequences at once: what an open first axis becomes.
  public var batchSize = 1
  /// What the open axes of a picture become, height and width; nil: what the model says of itself, else 224.
  public var imageSize: [Int]?

  /// Open axes become what they are by default: one picture, of the model's size.
  public init() {}
}

/// The lengths that symbols stand for, the same wherever they stand.
struct ONNXSymbols {
  private(set) var lengths: [String: Int] = [:]

  /// A declared shape with its open axes filled as far as it is known how; nil for those that are not.
  func filled(_ shape: [ONNXValueInfo.Dimension]) -> [Int?] {
    shape.map { dimension in
      switch dimension {
      // Old exporters write 0 or -1 for an open axis.
      case .fixed(let length): length > 0 ? length : nil
      case .symbol(let name): lengths[name]
      case .unknown: nil
      }
    }
  }

  /// Takes over the lengths of an input.
  /// - Throws: `ModelError` for a shape that contradicts the declared one, or another input's.
  mutating func bind(_ declared: [ONNXValueInfo.Dimension]?, to shape: [Int], of name: String) throws {
    guard let declared else { return }
    guard declared.count == shape.count else {
      throw ModelError(.mismatch, "has \(declared.count) axes, not \(shape.count)", subject: name)
    }
    for (axis, (dimension, length)) in zip(declared, shape).enumerated() {
      switch dimension {
      case .fixed(let fixed) where fixed > 0 && fixed != length:
        throw ModelError(.mismatch, "axis \(axis) has \(fixed) elements, not \(length)", subject: name)
      // Paddle's name for any length.
      case .symbol("?"): break
      case .symbol(let symbol):
        guard lengths[symbol, default: length] == length else {
          throw ModelError(
            .mismatch, "axis \(axis), \(symbol), has \(length) elements here and \(lengths[symbol] ?? 0) elsewhere",
            subject: name)
        }
        lengths[symbol] = length
      case .fixed, .unknown: break
      }
    }
  }
}

extension ONNXInputs {
  /// The shape of every input that is no value: said, or declared with its open axes filled.
  /// - Returns: nil for an input whose axes remain open.
  func shapes(of inputs: [ONNXValueInfo], _ model: ONNXModel, _ symbols: inout ONNXSymbols) throws -> [String: [Int]] {
    var result: [String: [Int]] = [:]
    for name in shapes.keys.sorted() + values.keys.sorted() where !inputs.contains(where: { $0.name == name }) {
      throw ModelError(
        .missing, "the model has no such input", subject: name,
        advice: "its inputs are \(inputs.map(\.name).joined(separator: ", "))")
    }
    func declared(_ input: ONNXValueInfo) -> [ONNXValueInfo.Dimension]? {
      if case .tensor(_, let shape) = input.kind { shape } else { nil }
    }
    for input in inputs {
      if let shape = values[input.name]?.shape ?? shapes[input.name] {
        try symbols.bind(declared(input), to: shape, of: input.name)
        result[input.name] = shape
      }
    }
    // Pictures first: their size may be another input's.
    for rank in [4, nil] {
      for input in inputs where result[input.name] == nil {
        guard let declared = declared(input), rank == nil || declared.count == rank else { continue }
        var shape = symbols.filled(declared)
        if shape.first == .some(nil) { shape[0] = batchSize }
        if shape.count == 4 { fillPicture(&shape, model) }
        let known = shape.compactMap { $0 }
        guard known.count == shape.count else { continue }
        try symbols.bind(declared, to: known, of: input.name)
        result[input.name] = known
      }
    }
    return result
  }

  /// [batch, channels, height, width], or the channels last where those are said to be few.
  private func fillPicture(_ shape: inout [Int?], _ model: ONNXModel) {
    let size = imageSize ?? model.statedImageSize ?? [224, 224]
    let isChannelsLast = shape[1] == nil && [1, 3, 4].contains(shape[3])
    let axes = isChannelsLast ? [1, 2] : [2, 3]
    for (axis, length) in zip(axes, size) where shape[axis] == nil { shape[axis] = length }
    if shape[1] == nil { shape[1] = 3 }
  }
}

extension ONNXModel {
  /// The height and width of pictures, where the metadata says one, as Ultralytics writes it: `[640, 640]`.
  public var statedImageSize: [Int]? {
    guard let text = metadata["imgsz"] else { return nil }
    let numbers = text.split { !$0.isNumber }.compactMap { Int($0) }.filter { (1...1 << 16).contains($0) }
    return numbers.count == 2 ? numbers : numbers.count == 1 ? [numbers[0], numbers[0]] : nil
  }
}
