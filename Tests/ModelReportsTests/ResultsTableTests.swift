import ModelCore
import ModelReports
import TestSupport
import Testing

@Suite struct ResultsTableTests {
  private func table(_ text: String) throws -> ResultsTable {
    try ResultsTable(FileBytes(name: "results.csv", copying: Array(text.utf8)))
  }

  @Test func text() throws {
    var table = try ResultsTable(columns: ["epoch", "train, \"loss\""])
    try table.append([0, 0.1])
    try table.append([1, nil])
    try table.append([2, .nan])
    #expect(table.csv == "epoch,\"train, \"\"loss\"\"\"\n0,0.1\n1,\n2,nan\n")
    #expect(try self.table(table.csv).columns == table.columns)
    #expect(try self.table(table.csv)["epoch"] == [0, 1, 2])
    #expect(table["lr"] == nil)
  }

  @Test func numbersReadBackTheSame() throws {
    let numbers = [
      0, -0.0, 0.1, 1.0 / 3, 1e-5, .leastNonzeroMagnitude, .greatestFiniteMagnitude, 0x1p53, 0x1p53 + 2, -7,
      123_456_789, .infinity,
      -.infinity, 3.0000000000000004,
    ]
    var table = try ResultsTable(columns: ["x"])
    for number in numbers { try table.append([number]) }
    try table.append([nil])
    let back = try #require(try self.table(table.csv)["x"])
    #expect(back.dropLast().map { $0?.bitPattern } == numbers.map { $0.bitPattern })
    #expect(back.count == numbers.count + 1 && back.last == .some(nil))
  }

  @Test func whatOthersWrite() throws {
    let table = try table("\u{feff}  epoch,   loss \r\n 0,  1.5\r\n\r\n1, 2e-3\r\n")
    #expect(table.columns == ["epoch", "loss"])
    #expect(table.rows == [[0, 1.5], [1, 0.002]] && !table.isCut)
  }

  @Test func unfinishedRow() throws {
    let table = try table("epoch,loss\n0,1\n1,0.1")
    #expect(table.rows == [[0, 1]] && table.isCut)
    #expect(try self.table("a,b\n").rows.isEmpty)
  }

  @Test func brokenFiles() throws {
    func line(_ text: String) -> String? { refusal { _ = try table(text) } }
    #expect(line("") == "results.csv: has no line with the names of its columns")
    #expect(line("a,b") == "results.csv: has no line with the names of its columns")
    #expect(line("a,b\n1,2\n3\n") == "results.csv: row 2 has 1 values, not 2")
    #expect(line("a,b\n1,x y\n") == "results.csv: b: row 1 has \"x y\", not a number")
    #expect(line("a,a\n") == "results.csv: a: names two columns")
    #expect(line("a,\n") == "results.csv: a table has at least one column, and each has a name")
    #expect(line("\"a\"b\n") == "results.csv: line 1 has text behind a closing quote")
    let bytes = FileBytes(name: "x", copying: [0xff, 0xff, 10])
    #expect(refusal { _ = try ResultsTable(bytes) } == "x: line 1 is not UTF-8")
    let folder = try TemporaryFolder()
    #expect(
      refusal { _ = try ResultsTable(contentsOf: folder["none"]) }
        == "\(folder["none"]): cannot be opened: No such file or directory")
  }

  @Test func rowsThroughAnEpoch() throws {
    let table = try table("epoch,loss\n0,5\n1,4\n2,3\n,2\n")
    #expect(try table.rows(through: 1).rows == [[0, 5], [1, 4]])
    #expect(try table.rows(through: -1).rows.isEmpty)
    #expect(try table.rows(through: 3, in: "loss").rows == [[2, 3], [nil, 2]])
    #expect(refusal { _ = try table.rows(through: 1, in: "step") } == "step: is no column of the table")
  }

  @Test func rowsByName() throws {
    let table = try ResultsTable(columns: ["a", "b"])
    #expect(try table.row(["b": 2]) == [nil, 2])
    #expect(refusal { _ = try table.row(["c": 2]) } == "c: is no column of the table")
    var other = table
    #expect(refusal { try other.append([1]) } == "a row has 2 values, not 1")
  }
}
