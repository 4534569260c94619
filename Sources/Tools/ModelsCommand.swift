import ArgumentParser
import ModelUtils

struct Models: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "models",
    abstract: "The built-in architectures, their parameters and FLOPs.",
    discussion: """
      GFLOPs are thop's, for one picture of the size that stands beside them.

      Example: mutils models 'resnet*'
      """)

  @Argument(help: "Only names that match this; * and ? are wildcards.")
  var glob: String?

  @OptionGroup var report: ReportOptions

  func run() throws {
    try report.withThreads {
      let pattern = glob.map { Glob($0) }
      let names = Architecture.names.filter { pattern?.matches($0) ?? true }
      guard !names.isEmpty else {
        throw ModelError(
          .missing, "no built-in architecture matches", subject: glob,
          advice: "the nearest are \(Architecture.names.nearest(to: glob ?? ""))")
      }
      var rows = names.map { ModelRow(name: $0) }
      try Parallel.update(&rows) { try $0.measure() }
      if report.json { return try Results.print(json: ModelsResult(models: rows)) }
      let width = rows.map(\.name.count).max() ?? 0
      func line(_ name: String, _ parameters: String, _ gflops: String, _ size: String) -> String {
        Text.padded(name, to: width) + CFormat.string(" %14s %9s %6s", parameters, gflops, size)
      }
      Results.print(line("name", "parameters", "GFLOPs", "size"))
      for row in rows {
        Results.print(
          line(
            row.name, FigureText.grouped(row.parameters), row.gflops.map { CFormat.string("%.1f", $0) } ?? "-",
            "\(row.imageSize)"))
      }
    }
  }
}

private struct ModelsResult: Encodable { let models: [ModelRow] }

private struct ModelRow: Encodable, Sendable {
  let name: String
  private(set) var parameters = 0
  private(set) var gflops: Double?
  private(set) var imageSize = ImageSize(height: 0, width: 0)

  init(name: String) { self.name = name }

  mutating func measure() throws {
    let architecture = try Architecture(named: name)
    let module = try architecture.module()
    let size = module.pictureSize
    imageSize = ImageSize(size)
    let info = module.modelInfo(imageSize: size)
    (parameters, gflops) = (info.parameters, info.gflops?.thop)
  }
}
