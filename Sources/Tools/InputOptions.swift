import ArgumentParser
import ModelUtils
import SystemPackage

/// What a model is given: files, or random numbers.
struct InputOptions: ParsableArguments {
  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      "What the model is given: pictures (PNG, JPEG), letterboxed to the size, one .safetensors with its tensors, or .npy, one for each; floats become float32. Default: uniform random numbers from 0 to 1.",
      valueName: "file"), completion: .file())
  var input: [String] = []

  @Option(
    help: ArgumentHelp(
      "The size of pictures in pixels, as 640 or 480x640. Default: what the model says of itself, 640 for YOLO's detectors, else 224.",
      valueName: "size"))
  var imageSize: ImageSize?

  @OptionGroup var sizes: ShapeOptions

  /// Whether any of them was given.
  var isGiven: Bool { !input.isEmpty || imageSize != nil || !sizes.shape.isEmpty || !sizes.value.isEmpty }

  func validate() throws {
    guard input.isEmpty || sizes.shape.isEmpty else { throw ValidationError("--input and --shape exclude each other") }
  }

  /// Computes with a model; where a size that was asked for does not go with it, the error says which does.
  func advising<R>(on module: Module, _ body: () throws -> R) throws -> R {
    do { return try body() } catch var error as ModelError {
      if error.kind == .mismatch, error.advice == nil, imageSize != nil {
        let strides = module.attributes["stride"]?.doublesValue ?? []
        let size = ImageSize(module.pictureSize)
        error.advice =
          strides.max().map { "sides are best multiples of \(Int(min(max($0, 1), 65536)))" }
          ?? "the model is meant for --image-size \(size)"
      }
      throw error
    }
  }

  /// The tensors for a model: those of the files, or random ones of seed 0.
  func tensors(for module: Module) throws -> [Tensor] {
    try input.isEmpty ? random(shapes(for: module)) : given(imageSize ?? ImageSize(module.pictureSize))
  }

  /// The shapes of random inputs.
  func shapes(for module: Module, batchSize: Int = 1) -> [[Int]] {
    let size = imageSize ?? ImageSize(module.pictureSize)
    return sizes.shape.isEmpty
      ? [[batchSize, module.inputChannels, size.height, size.width]] : sizes.shape.map(\.lengths)
  }

  func random(_ shapes: [[Int]], seed: UInt64 = 0) throws -> [Tensor] {
    var generator = TorchGenerator(seed: seed)
    return try shapes.map { try generator.uniform($0) }
  }

  private func given(_ size: ImageSize) throws -> [Tensor] {
    let endings = Set(input.map { FilePath($0).extension?.lowercased() ?? "" })
    if endings == ["npy"] { return try input.map { try float32(NumPyFile.read(FilePath($0))) } }
    guard endings.contains("safetensors") || endings.contains("npy") else {
      return [try imageBatch(contentsOf: input.map { FilePath($0) }, size: [size.height, size.width]).tensor]
    }
    guard input.count == 1 else {
      throw ModelError(.invalid, "a file of tensors stands alone", file: input[0])
    }
    return try Checkpoint(contentsOf: FilePath(input[0])).preferred.stateDict().tensors.values.map(float32)
  }

  /// What models compute in, whatever floats a file holds.
  private func float32(_ tensor: Tensor) throws -> Tensor {
    tensor.dtype.isFloatingPoint ? try tensor.cast(to: .float32) : tensor
  }
}

extension ImageSize {
  init(_ size: (height: Int, width: Int)) { self.init(height: size.height, width: size.width) }
}
