import ModelReports
import TestSupport
import Testing

@Suite struct ResultsFileTests {
  @Test func growsAndResumes() throws {
    let folder = try TemporaryFolder()
    let path = folder["run/results.csv"]
    do {
      let file = try ResultsFile(creating: path, columns: ["epoch", "loss"])
      #expect(try text(path) == "epoch,loss\n")
      try file.append(["epoch": 0, "loss": 1.5])
      try file.append([1, 0.25])
      #expect(try text(path) == "epoch,loss\n0,1.5\n1,0.25\n")
      #expect(refusal { try file.append([1]) } == "a row has 2 values, not 1")
      #expect(file.table.rows == [[0, 1.5], [1, 0.25]])
    }
    try append("2,0.1", to: path)
    let file = try ResultsFile(resuming: path, columns: ["epoch", "loss"], through: 0)
    #expect(try text(path) == "epoch,loss\n0,1.5\n")
    try file.append([1, nil])
    #expect(try text(path) == "epoch,loss\n0,1.5\n1,\n")
    #expect(try ResultsTable(contentsOf: path) == file.table)
  }

  @Test func refusals() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("epoch,loss\n0,1\n", to: "results.csv")
    #expect(
      refusal { _ = try ResultsFile(creating: path, columns: ["epoch"]) }
        == "\(path): stands here already; resume its run, or name another place")
    #expect(
      refusal { _ = try ResultsFile(resuming: path, columns: ["epoch", "top1"], through: 0) }
        == "\(path): has the columns epoch, loss, not epoch, top1; "
        + "move it away, or resume with the arguments of the run that made it")
    #expect(try text(path) == "epoch,loss\n0,1\n")
  }
}
