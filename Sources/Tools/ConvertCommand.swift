import ArgumentParser
import ModelUtils
import SystemPackage

struct Convert: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert",
    abstract: "Rewrites a checkpoint in another format or element type.",
    discussion: """
      Example: mutils convert model.pt -o model.safetensors

      A PyTorch file written as one again stays what it was, whole modules included; any other way the tensors alone are written.
      """)

  @Argument(help: "The file to read.", completion: .file())
  var input: String

  @Option(name: .shortAndLong, help: "The file to write; its extension picks the format.", completion: .file())
  var output: String

  @Option(help: "Convert floating tensors to float64, float32, float16, bfloat16, float8_e4m3fn or float8_e5m2.")
  var dtype: ElementType?

  @Option(help: ArgumentHelp("Which object in a PyTorch file is the model, such as 'ema' or 'a.b'.", valueName: "key"))
  var key: String?

  @OptionGroup var writing: WritingOptions

  @OptionGroup var report: ReportOptions

  struct ElementType: ExpressibleByArgument {
    let dtype: DType

    init?(argument: String) {
      guard let dtype = DType(rawValue: argument), DType.computed.contains(dtype) else { return nil }
      self.dtype = dtype
    }
  }

  func run() throws {
    try report.withThreads {
      var checkpoint = try Checkpoint(contentsOf: FilePath(input), key: key)
      let path = FilePath(output)
      try writing.check(path)
      if let dtype = dtype?.dtype {
        let name = checkpoint.name
        try checkpoint.updateModels { _, model in
          do { try model.convert(to: dtype) } catch let error as ModelError { throw error.inFile(name) }
        }
      }
      if try writing.writesTensorsAlone(checkpoint, to: path) { report.noteLeftOut(checkpoint) }
      let bytes = try writing.write(checkpoint, to: path)
      let tensors = checkpoint.preferred.stateDict().count
      if report.json {
        try Terminal.print(json: ConvertResult(tensors: tensors, bytes: bytes, output: output))
      } else {
        Terminal.print("Saved \(output): \(tensors) tensors, \(bytes) bytes")
      }
    }
  }
}

private struct ConvertResult: Encodable {
  let tensors: Int
  let bytes: Int
  let output: String
}
