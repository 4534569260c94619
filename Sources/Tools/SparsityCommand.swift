import ArgumentParser
import ModelUtils

struct SparsityCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sparsity", abstract: "The share of zeros among a model's parameters.",
    discussion: "Example: mutils sparsity pruned.safetensors --detailed")

  @OptionGroup var arguments: ModelsArguments
  @OptionGroup var report: ReportOptions

  @Flag(help: "List every parameter.")
  var detailed = false

  func run() throws {
    try report.withThreads { try arguments.forEach(of: self, report, show) }
  }

  private func show(_ arguments: ModelArguments) throws {
    let checkpoint = try arguments.open(report, reading: .preferred)
    let sparsity = try checkpoint.named { try checkpoint.preferred.sparsity() }
    if checkpoint.preferred.hasMasks { report.note("what pruning masks take out counts as zero") }
    if let note = Text.notCounted(sparsity) { report.note(note) }
    let quantized = checkpoint.onnx?.quantizedWeights ?? []
    if !quantized.isEmpty {
      let count = quantized.reduce(0) { $0 + $1.tensor.count }
      report.note(
        "\(quantized.count) quantised weights of \(count) elements are not counted, whose zero is a number of its own: \(Text.list(quantized.map(\.name)))"
      )
    }
    if report.json {
      try Results.print(json: SparsityResult(sparsity, quantized: quantized.map(\.name)))
      return
    }
    Results.print("\(Text.threeDigits(sparsity.sparsity)) global sparsity: \(sparsity)")
    if detailed {
      for layer in sparsity.layers { Results.print(Text.zeros(layer.zeros, of: layer.elements, in: layer.name)) }
    }
  }
}

private struct SparsityResult: Encodable {
  let sparsity: Double
  let elements: Int
  let zeros: Int
  let layers: [Sparsity.Layer]
  let notCounted: [String]

  init(_ result: Sparsity, quantized: [String]) {
    (sparsity, elements, zeros, layers) = (result.sparsity, result.elements, result.zeros, result.layers)
    notCounted = result.notCounted + quantized
  }
}
