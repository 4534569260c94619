import ArgumentParser
import ModelUtils
import SystemPackage

/// The shape of an input, which may be named: `1x3x48x320`, `images=1x3x48x320`.
struct NamedShape: ExpressibleByArgument {
  let name: String?
  let lengths: [Int]

  init?(argument: String) {
    let separator = argument.lastIndex(of: "=")
    name = separator.map { String(argument[..<$0]) }
    let text = separator.map { String(argument[argument.index(after: $0)...]) } ?? argument
    guard name != "", let shape = SeedShape(argument: text) else { return nil }
    lengths = shape.lengths
  }
}

/// The number that an input is: `sr=16000`.
struct NamedValue: ExpressibleByArgument {
  let name: String
  let value: Double

  init?(argument: String) {
    guard let separator = argument.lastIndex(of: "="), separator > argument.startIndex,
      let value = Double(argument[argument.index(after: separator)...])
    else { return nil }
    name = String(argument[..<separator])
    self.value = value
  }
}

/// What a model's inputs are, where they are no pictures.
struct ShapeOptions: ParsableArguments {
  @Option(
    name: [.long, .customLong("input-shape")], parsing: .singleValue,
    help: ArgumentHelp(
      "The shape of an input that is no picture, as 1x3x16x112x112.",
      discussion: "Once for each tensor that the model takes; an ONNX model's by name, as audio=1x512.",
      valueName: "shape"))
  var shape: [NamedShape] = []

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "The value of an ONNX model's input on which sizes or branches depend, as sr=16000.", valueName: "name=value"))
  var value: [NamedValue] = []
}

extension ONNXInputs {
  /// What the options say of an ONNX model's inputs.
  /// - Throws: `ModelError` for a name that no input has, and more shapes without names than inputs.
  init(_ model: ONNXModel, _ sizes: ShapeOptions, imageSize: ImageSize?, batchSize: Int) throws {
    self.init()
    self.batchSize = batchSize
    if let imageSize { self.imageSize = [imageSize.height, imageSize.width] }
    let inputs = model.openInputs
    var unnamed = inputs.map(\.name).filter { name in !sizes.shape.contains { $0.name == name } }[...]
    for shape in sizes.shape {
      guard let name = shape.name ?? unnamed.popFirst() else {
        throw ModelError(.invalid, "takes \(inputs.count) inputs, not \(sizes.shape.count)")
      }
      self.shapes[name] = shape.lengths
    }
    for value in sizes.value {
      guard let input = inputs.first(where: { $0.name == value.name }) else {
        throw ModelError(
          .missing, "the model has no such input", subject: value.name,
          advice: "its inputs are \(inputs.map(\.name).joined(separator: ", "))")
      }
      self.values[value.name] = try input.tensor(filledWith: value.value)
    }
  }
}

extension TalkOptions {
  /// Says which sizes that were asked for an ONNX model does not take.
  /// - Parameter shapes: what its inputs were traced for, in order.
  func note(sizes shapes: [[Int]], imageSize: ImageSize?, batchSize: Int?) {
    let picture = shapes.first { $0.count == 4 }
    if let imageSize {
      let size = [imageSize.height, imageSize.width]
      if let picture, Array(picture[2...]) != size, Array(picture[1...2]) != size {
        let taken = [1, 3, 4].contains(picture[3]) && ![1, 3, 4].contains(picture[1]) ? picture[1...2] : picture[2...]
        note("the model takes pictures of one size, \(taken.map(String.init).joined(separator: "x"))")
      } else if picture == nil {
        note("the model takes no pictures: --image-size says nothing of it")
      }
    }
    if let batchSize, let shape = picture ?? shapes.first(where: { $0.count > 1 }), shape[0] != batchSize {
      note("the model takes batches of one size, \(shape[0])")
    }
  }
}

extension InputOptions {
  func onnxInputs(for model: ONNXModel, batchSize: Int = 1) throws -> ONNXInputs {
    try ONNXInputs(model, sizes, imageSize: imageSize, batchSize: batchSize)
  }

  /// What an ONNX model is given: what the files hold and the values said, and random numbers of seed 0 for the rest.
  func tensors(for model: ONNXModel) throws -> [String: Tensor] {
    let inputs = try onnxInputs(for: model)
    var tensors = try onnxTensors(for: model, inputs)
    for (name, random) in try model.trace(inputs).randomInputs() where tensors[name] == nil { tensors[name] = random }
    return tensors.merging(inputs.values) { given, _ in given }
  }

  /// The tensors of the files by the names of the model's inputs: by their own names where those are the model's, else in
  /// the model's order. Pictures go to the first input of four axes.
  func onnxTensors(for model: ONNXModel, _ inputs: ONNXInputs) throws -> [String: Tensor] {
    if input.isEmpty { return [:] }
    let open = model.openInputs.filter { inputs.values[$0.name] == nil }
    let endings = Set(input.map { FilePath($0).extension?.lowercased() ?? "" })
    let given: [(String, Tensor)]
    if endings == ["npy"] {
      given = try input.map { ("", try NumPyFile.read(FilePath($0))) }
    } else if endings.contains("safetensors") || endings.contains("npy") {
      guard input.count == 1 else { throw ModelError(.invalid, "a file of tensors stands alone", file: input[0]) }
      given = try Checkpoint(contentsOf: FilePath(input[0])).preferred.stateDict().tensors.map { ($0.key, $0.value) }
    } else {
      guard let place = try model.pictureInput(inputs) else {
        throw ModelError(.mismatch, "takes no picture", advice: "give its tensors as .safetensors")
      }
      let batch = try imageBatch(contentsOf: input.map { FilePath($0) }, size: place.size)
      given = [(place.name, batch.tensor)]
    }
    let areNamed = given.allSatisfy { name, _ in open.contains { $0.name == name } }
    guard areNamed || given.count <= open.count else {
      throw ModelError(.mismatch, "takes \(open.count) inputs, not \(given.count)")
    }
    var tensors: [String: Tensor] = [:]
    for (index, (name, tensor)) in given.enumerated() {
      let target = areNamed ? open.first { $0.name == name } ?? open[index] : open[index]
      tensors[target.name] = try target.converted(tensor)
    }
    return tensors
  }
}
