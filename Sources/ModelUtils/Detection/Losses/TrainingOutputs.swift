import ModelCore

extension DetectionObjective {
  /// - Throws: `ModelError` for a number of classes that no head has.
  static func check(classes: Int) throws {
    guard (1...1 << 20).contains(classes) else {
      throw ModelError(.invalid, "a detector has 1 to \(1 << 20) classes, not \(classes)")
    }
  }
}

/// What a loss reads and what its derivatives are written in.
typealias LossElement = BinaryFloatingPoint & TensorElement

/// The outputs of a network as a loss takes them, all float64 or all float32.
struct TrainingOutputs {
  let tensors: [Tensor]
  let names: [String]

  /// - Throws: `ModelError` for another number of outputs, or other shapes; lengths that are nil may be any above 0.
  init(_ outputs: [Tensor], _ expected: [(name: String, shape: [Int?])]) throws {
    guard outputs.count == expected.count else {
      throw ModelError(
        .mismatch,
        "the loss takes \(expected.count) outputs (\(expected.map(\.name).joined(separator: ", "))), not \(outputs.count)"
      )
    }
    let batch = outputs.first?.shape.first
    for (output, (name, shape)) in zip(outputs, expected) {
      let fits = output.shape.count == shape.count && zip(output.shape, shape).allSatisfy { $0 > 0 && ($1 ?? $0) == $0 }
      guard fits, output.shape.first == batch else {
        let words = shape.enumerated().map { $0 == 0 ? "pictures" : $1.map(String.init) ?? "any" }
        throw ModelError(
          .mismatch, "has shape \(output.shape), not [\(words.joined(separator: ", "))]", subject: name,
          advice: "is it of pictures of this size and of a head with as many classes?")
      }
    }
    names = expected.map(\.name)
    let dtype = outputs.allSatisfy { $0.dtype == .float64 } ? DType.float64 : .float32
    tensors = try zip(outputs, names).map { output, name in
      guard output.dtype.isFloatingPoint else {
        throw ModelError(.mismatch, "is \(output.dtype.rawValue), no floating type", subject: name)
      }
      return try output.converted(to: dtype)
    }
  }

  var isDouble: Bool { tensors[0].dtype == .float64 }

  var pictures: Int { tensors[0].shape[0] }

  /// - Throws: `ModelError` where a picture's part of an output is not finite.
  func check<Element: LossElement>(_ index: Int, _ values: UnsafeBufferPointer<Element>, picture: Int) throws {
    guard values.allSatisfy(\.isFinite) else {
      throw ModelError(
        .invalid, "is not finite for picture \(picture) of the batch", subject: names[index],
        advice: "take a lower learning rate, or look at this picture")
    }
  }
}

/// Where the numbers of an output lie, [pictures, anchors, channels] or [pictures, channels, anchors].
struct AnchorLayout: Sendable {
  private let size, anchorStep, channelStep: Int

  init(_ shape: [Int], isChannelMajor: Bool) {
    size = shape[1] * shape[2]
    (anchorStep, channelStep) = isChannelMajor ? (1, shape[2]) : (shape[2], 1)
  }

  func values<Element: LossElement>(_ values: UnsafeBufferPointer<Element>, _ picture: Int) -> AnchorValues<Element> {
    AnchorValues(
      values: UnsafeBufferPointer(rebasing: values[picture * size..<(picture + 1) * size]), anchorStep: anchorStep,
      channelStep: channelStep)
  }

  func gradients<Element: LossElement>(_ values: UnsafeMutableBufferPointer<Element>, _ picture: Int)
    -> AnchorGradients<Element>
  {
    AnchorGradients(
      values: UnsafeMutableBufferPointer(rebasing: values[picture * size..<(picture + 1) * size]),
      anchorStep: anchorStep, channelStep: channelStep)
  }
}

/// One picture's numbers of an output.
struct AnchorValues<Element: LossElement> {
  let values: UnsafeBufferPointer<Element>
  let anchorStep: Int
  let channelStep: Int

  subscript(anchor: Int, channel: Int) -> Double { Double(values[anchor * anchorStep + channel * channelStep]) }
}

/// Where one picture's derivatives go.
struct AnchorGradients<Element: LossElement> {
  let values: UnsafeMutableBufferPointer<Element>
  let anchorStep: Int
  let channelStep: Int

  func set(_ anchor: Int, _ channel: Int, _ value: Double) {
    values[anchor * anchorStep + channel * channelStep] = Element(value)
  }
}
