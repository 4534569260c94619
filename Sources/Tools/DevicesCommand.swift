import ArgumentParser
import ModelUtils

struct Devices: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "devices",
    abstract: "Chooses the devices to compute on, as YOLOv5's select_device does.",
    discussion: """
      Without --device it is the first CUDA device that CUDA_VISIBLE_DEVICES lets be seen, or else the CPU. NVIDIA's \
      driver is asked, where it is installed; nothing is computed.

      Example: mutils devices --device 0,1 --batch-size 16
      """)

  @Option(help: "cpu, 0, a list such as 0,1,2,3, or UUIDs (GPU-…).")
  var device = ""

  @Option(help: ArgumentHelp("Must be a multiple of the number of devices where there are several.", valueName: "n"))
  var batchSize: Int?

  @OptionGroup var report: ReportOptions

  func run() throws {
    let selection = try report.withThreads { try selectDevice(device, batchSize: batchSize) }
    if let reason = selection.reason { report.note("using the CPU: \(reason)") }
    if report.json { return try Results.print(json: DevicesResult(selection, batchSize: batchSize)) }
    Results.print(selection.description)
  }
}

private struct DevicesResult: Encodable {
  let selection: DeviceSelection
  let batchSize: Int?

  init(_ selection: DeviceSelection, batchSize: Int?) {
    self.selection = selection
    self.batchSize = batchSize
  }

  private enum Key: String, CodingKey { case device, batchSize, line }

  func encode(to encoder: any Encoder) throws {
    try selection.encode(to: encoder)
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(selection.name, forKey: .device)
    try container.encode(batchSize, forKey: .batchSize)
    try container.encode(selection.description, forKey: .line)
  }
}
