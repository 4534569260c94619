import Foundation
import ModelCheckpoints
import ModelCore
import ModelSurgery
import SystemPackage
import Testing

@Suite struct StripTests {
  let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Fixtures")

  @Test func trainingCheckpoint() throws {
    var file = try Checkpoint(contentsOf: FilePath(fixtures.appendingPathComponent("training_checkpoint.pt").path))
    #expect(file.models.keys.contains("ema"))
    let report = try file.strip()
    #expect(report.usedAverage && report.average == "ema" && report.overflows.isEmpty)
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("strip-\(UUID()).pt").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    try file.write(to: FilePath(path))
    let again = try Checkpoint(contentsOf: FilePath(path))
    #expect(Array(again.models.keys) == ["model"] && again.entry("epoch") == .int(-1))
    for key in ["optimizer", "best_fitness", "ema", "updates"] { #expect(again.entry(key) == Attribute.none) }
    #expect(again.preferred.stateDict().tensors.values.allSatisfy { !$0.dtype.isFloatingPoint || $0.dtype == .float16 })
    again.preferred.module?.forEachParameter { #expect(!$1.requiresGrad, "\($0)") }
  }

  @Test func overflow() throws {
    let state = StateDict(["fits": try Tensor([65519, .infinity]), "large": try Tensor([65520, 1])])
    var file = Checkpoint(state)
    #expect { try file.strip() } throws: { ($0 as? ModelError)?.reason.hasSuffix(": large") == true }
    #expect(try file.strip(allowOverflow: true).overflows == [.init(name: "large", elements: 1)])
    var kept = Checkpoint(state)
    #expect(try kept.strip(to: .bfloat16).overflows.isEmpty)
  }
}
